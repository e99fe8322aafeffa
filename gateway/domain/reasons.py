"""Why something is so: a code, and a sentence in Chinese and English."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Reason:
    """A code that programs compare, and the sentences that people read."""

    code: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.code}: {self.en}"


_SENTENCES: dict[str, tuple[str, str]] = {
    # doors and access (RULES A)
    "granted": ("请进。", "Please come in."),
    "not_recognised": (
        "未识别该凭证。请重试或联系值班室。",
        "Not recognised here. Try again, or call the duty desk.",
    ),
    "too_early": ("您的预订从{start}开始。", "Your booking starts at {start}."),
    "too_late": ("您的预订已于{end}结束。", "Your booking ended at {end}."),
    "wrong_facility": (
        "不是这个房间：您预订的是{facility}。",
        "Wrong room: yours is {facility}.",
    ),
    "no_right": (
        "您目前没有进入此处的预订或权限。",
        "You have no booking or right here now.",
    ),
    "slow_down": ("请稍候{seconds}秒再试。", "Slow down: try again in {seconds} s."),
    "blocked": ("此凭证已停用。请联系值班室。", "This credential is blocked. Call the duty desk."),
    "pass_invalid": ("通行证无效：{why}。", "The pass is not valid: {why}."),
    "pass_superseded": (
        "通行证已过期，请刷新后再试。",
        "The pass is older than the booking. Refresh it.",
    ),
    "booking_conflicted": (
        "您的预订与另一预订冲突，房间已有人使用。",
        "Your booking conflicts with another, which has the room.",
    ),
    "booking_released": (
        "您的预订因未到场已释放，房间已有人使用。",
        "Your booking was released as a no-show, and the room is taken.",
    ),
    "in_use": ("设施正在使用中。", "The facility is in use."),
    "door_out_of_service": (
        "此门暂不可用。请联系值班室。",
        "This door is out of service. Call the desk.",
    ),
    "open_mode": ("此门现在可自由通行。", "The door is open to all now."),
    "override": ("{person}已放行：{why}。", "Released by {person}: {why}."),
    "fire_release": ("火警：门已释放。", "Fire alarm: the door is released."),
    "call_release": ("紧急呼叫：门已为救援释放。", "Emergency call: released for help to come in."),
    "standing_right": ("长期权限。", "Standing right."),
    "booking": ("预订。", "Booking."),
    "credential_stale": (
        "凭证送达过晚，请再试一次。",
        "The credential came too late. Present it again.",
    ),
    # bookings (RULES B)
    "unknown_facility": ("没有设施{facility}。", "There is no facility {facility}."),
    "inverted_window": ("结束时间必须晚于开始时间。", "The end must be after the start."),
    "old_revision": ("此版本{revision}不新于已应用的版本。", "Revision {revision} is not newer."),
    "outside_window": ("超出快照窗口。", "Outside the window of the snapshot."),
    "digest_mismatch": ("快照摘要或数量不符。", "The snapshot's digest or count does not match."),
    "snapshot_held": (
        "快照将移除未来24小时内超过一半的预订，等待确认。",
        "The snapshot would remove more than half of the next 24 h; waiting for a confirmation.",
    ),
    "snapshot_illegible": (
        "快照中有条目的编号无法辨认，其余删除暂缓。",
        "An item of the snapshot has an id that makes no sense; what it leaves out is kept.",
    ),
    "snapshot_retained": ("保留消息不能作为快照。", "A retained message is no snapshot."),
    "overlap": ("与预订{booking}重叠。", "Overlaps with booking {booking}."),
    "no_show": ("预订者未到场。", "Nobody came for the booking."),
    "ended": ("预订已结束。", "The booking has ended."),
    "unknown_subject": ("没有人员{subject}。", "There is no subject {subject}."),
    "malformed": ("内容无法理解：{why}。", "Cannot be understood: {why}."),
    "applied": ("已应用。", "Applied."),
    "unchanged": ("没有变化。", "Nothing changed."),
    # charging (RULES C)
    "charging_authorised": ("请插入充电枪。", "Please plug in."),
    "charging_started": ("正在开始充电。", "Charging starts."),
    "charging_stopped": ("充电正在停止。", "Charging stops."),
    "outlet_in_use": ("充电桩正在使用中。", "The outlet is in use."),
    "choose_outlet": ("请选择插座：{outlets}。", "Choose an outlet: {outlets}."),
    "outlet_unseen": (
        "充电桩暂无读数，无法开始充电。请稍后再试。",
        "The outlet does not answer now, so charging cannot start. Try again soon.",
    ),
    "outlet_faulted": (
        "充电桩{outlet}自身报告故障。",
        "Outlet {outlet} says itself that it is out of service.",
    ),
    "outlet_closed": ("现在不能充电，{start}起可用。", "No charging now: from {start} on."),
    "too_hot": ("充电桩{outlet}温度过高，已断电。", "Outlet {outlet} is too hot: it is off."),
    "overcurrent": (
        "充电桩{outlet}电流过大，已断电。",
        "Outlet {outlet} drew too much current: it is off.",
    ),
    "hazard": ("充电桩{outlet}因安全原因已断电。", "Outlet {outlet} is off for safety."),
    "breaker_open": (
        "回路{circuit}的开关已断开：充电桩{outlet}未能断电。",
        "The switch of circuit {circuit} was opened: outlet {outlet} would not go off.",
    ),
    "no_session": ("没有正在进行的充电。", "There is no charging session."),
    "no_charge": ("没有充电授权。", "Nobody is authorised to charge here now."),
    "power_waits": ("线路容量已满，正在排队供电。", "The circuit is full: power comes in turn."),
    "circuit_full": (
        "线路容量由多个充电桩分享，这是您的份额。",
        "The circuit is shared: this is the part of it that is left for you.",
    ),
    "soft_limit": (
        "线路接近满载，有容量时将开始供电。",
        "The circuit is nearly full: power starts once there is room.",
    ),
    "waits_for_turn": (
        "线路容量不足以同时供电，正在轮流供电。",
        "There is not enough for all at once: vehicles take turns.",
    ),
    "lowering_first": (
        "等待其他充电桩降低电流。",
        "Others are being lowered first: more comes in a moment.",
    ),
    "outlet_unheard": (
        "充电桩或其电表无响应，已限制供电。",
        "The outlet or its meter is not heard, so it has less power or none.",
    ),
    "charging": ("按授权供电。", "Power as authorised."),
    "failsafe": (
        "{outlet}失去联系时的限流设置。",
        "What {outlet} does when nobody speaks to it.",
    ),
    "unauthorised_energy": (
        "{outlet}在未授权时仍有用电。",
        "{outlet} draws power without a session.",
    ),
    "quota_used_up": (
        "您的额度已用完：剩余{left}。",
        "Your quota is used up: {left} left.",
    ),
    "quota_held": (
        "您的额度正被其他使用占用：可用{left}。",
        "Your quota is held by what you use elsewhere: {left} free.",
    ),
    "quota_begins": ("您的额度从{start}开始。", "Your quota begins at {start}."),
    "quota_over": ("您的额度已于{end}到期。", "Your quota ended at {end}."),
    "beyond_quota": (
        "您要求{asked}，额度只剩{left}。",
        "You asked for {asked}; your quota has {left} left.",
    ),
    "limit_ignored": (
        "{outlet}未遵守其限流。",
        "{outlet} draws more than its limit: the circuit counts what it draws.",
    ),
    "residual": (
        "回路{circuit}的总表与各分表之差超过5%。",
        "The meter of circuit {circuit} and those under it differ by more than 5 %.",
    ),
    "meter_unread": ("{outlet}的电表没有读数。", "The meter of {outlet} is not read."),
    "meter_stuck": (
        "{outlet}的电表读数在用电时不变。",
        "The register of {outlet} stands still while power flows.",
    ),
    "meter_implausible": (
        "{outlet}的电表读数不可能：{value} Wh。",
        "The register of {outlet} says what cannot be: {value} Wh.",
    ),
    # commands
    "expired": ("命令已过期。", "The command has expired."),
    "clock_untrusted": ("时钟不可信，拒绝执行。", "Refused while the clock is not trusted."),
    "already_done": ("该命令已执行过。", "This command was run before."),
    "expiry_too_far": ("有效期不得超过一天。", "The expiry must be within a day."),
    "unknown_command": ("没有命令{name}。", "There is no command {name}."),
    "unknown_target": ("没有{kind}{id}。", "There is no {kind} {id}."),
    "done": ("已完成。", "Done."),
    "spent_by_restart": (
        "重启使该动作失效，结果未知。",
        "A restart spent it; its outcome is unknown.",
    ),
    # emergency calls (RULES E)
    "call_raised": ("紧急呼叫：{place}。", "Emergency call: {place}."),
    "call_test": ("测试呼叫：{place}。", "TEST call: {place}."),
    "call_acknowledged": ("{person}已接听。", "Acknowledged by {person}."),
    "call_silent": ("警笛已到时限，呼叫仍在继续。", "The siren's time is over; the call goes on."),
    "call_over": ("没有呼叫。", "No call."),
    "call_not_open": ("该呼叫已结束。", "The call is over."),
    "call_not_acknowledged": ("请先接听呼叫。", "Acknowledge the call first."),
    "call_not_attended": (
        "尚无人到场，请先登记到场人员。",
        "Nobody has attended yet. Name who did.",
    ),
    "role_needed": ("需要{role}权限。", "This needs the role {role}."),
    "person_needed": ("需要注明姓名。", "A named person is needed."),
    "on_site_only": ("只能在现场操作。", "This can be done on site only."),
    "in_service": ("网关运行中。", "The gateway is in service."),
    # faults and supervision
    "device_silent": ("设备{device}无响应。", "Device {device} does not answer."),
    "link_down": ("连接{link}中断。", "Link {link} is down."),
    "driver_failed": (
        "连接{link}的驱动出错，已隔离。",
        "The driver of link {link} failed: quarantined.",
    ),
    "garbage": ("设备{device}持续发送无法理解的数据。", "Device {device} keeps sending garbage."),
    "flooding": ("设备{device}消息过多。", "Device {device} sends more than can be handled."),
    "not_as_set": ("{point}未达到设定值{value}。", "{point} did not become {value}."),
    "pulse_unknown": ("{point}的动作结果未知。", "What became of the pulse to {point} is unknown."),
    "pulse_unconfirmed": ("{point}已发送但未见动作。", "{point} was sent, but nothing showed it."),
    "pulse_refused": ("设备拒绝了{point}。", "The device refused {point}."),
    "door_forced": ("门{door}被强行打开。", "Door {door} was forced."),
    "door_held_open": ("门{door}开启过久。", "Door {door} is held open."),
    "door_not_relocked": ("门{door}未重新上锁。", "Door {door} did not lock again."),
    "tamper": (
        "{reader}一小时内失败次数过多。",
        "Too many failed tries at {reader} within an hour.",
    ),
    "chattering": ("呼叫按钮{point}频繁抖动。", "Call point {point} is chattering."),
    "no_cover": ("{place}无紧急呼叫保障。", "No emergency cover at {place}."),
    "cover_reduced": ("{place}的紧急呼叫保障减弱。", "Emergency cover at {place} is reduced."),
    "call_point_untested": (
        "呼叫点{point}超过35天未测试。",
        "Call point {point} is untested for 35 days.",
    ),
    "fire_interface_lost": ("消防接口{zone}信号丢失。", "The fire interface {zone} is lost."),
    "fire_active": ("消防信号有效，不能复位。", "The fire input is still active."),
    "stuck_sensor": ("传感器{point}24小时无变化。", "Sensor {point} has not changed for 24 h."),
    "battery_low": ("设备{device}电量低。", "The battery of {device} is low."),
    "storage_lost": ("存储不可写，正在内存中运行。", "Storage is lost; running in memory."),
    "overstay": ("{facility}超时未离开。", "Overstay at {facility}."),
    "call_undelivered": ("呼叫{call}未送达任何渠道。", "Call {call} has reached no channel."),
    "clock_lost": ("时钟不可信。", "The wall clock is not trusted."),
    # what the trust in the wall clock rests on (DESIGN §6)
    "clock_kernel": ("系统时钟由时间源同步。", "The system says that a time source sets it."),
    "clock_vouched": ("由COMMONS_CLOCK担保。", "COMMONS_CLOCK vouches for it."),
    "clock_held": (
        "曾同步，此后走时误差有限。",
        "It was synchronised, and has run on with a bounded error.",
    ),
    "clock_hardware": ("断电期间由硬件时钟保持。", "A hardware clock kept it over a power cut."),
    "clock_nobody": ("尚无时间源确认。", "No time source has vouched for it yet."),
    "clock_disowned": ("COMMONS_CLOCK声明其不可信。", "COMMONS_CLOCK says not to believe it."),
    "clock_stepped": ("被不可信的来源改动。", "It was set by something nobody vouches for."),
    "clock_worn": (
        "失去同步过久，可能偏差数分钟。",
        "It ran for so long without a source that it may be minutes off.",
    ),
    "ok": ("正常。", "As it should be."),
}


@lru_cache(maxsize=1_024)
def reason(code: str, **values: Hashable) -> Reason:
    """The reason of that code with its blanks filled in. An unknown code is a bug (KeyError)."""
    zh, en = _SENTENCES[code]
    return Reason(code, zh.format(**values), en.format(**values))


def codes() -> tuple[str, ...]:
    """Every code there is."""
    return tuple(_SENTENCES)
