"""What is left to subjects, as the platform said it and as it was used here (RULES B3)."""

from fastapi import APIRouter

from gateway.api.auth import Anybody, Caller
from gateway.api.common import Shown, each
from gateway.api.parts import Gateway, Parts
from gateway.domain.quotas import Counted, Hold, Quota
from gateway.domain.subjects import Role

router = APIRouter(tags=["people"])


class QuotaShown(Shown):
    """A quota now, in Wh for energy and ms for time.

    `left` is what nobody has used; `held` of it belongs to what runs. `used` is its odometer.
    """

    id: str
    subject: str
    counts: Counted
    left: int
    held: int
    used: int
    targets: tuple[str, ...]
    from_ms: int | None
    until_ms: int | None


@router.get("/quotas", summary="What is left to subjects; a resident's own")
async def quotas(parts: Parts, caller: Anybody) -> list[QuotaShown]:
    """By id. Who is not named has no quota, and is not metered."""
    found = [one for one in parts.views.state.all(Quota) if _may_see(one, caller)]
    found.sort(key=lambda one: one.id)
    return await each(found, lambda one: show(parts, one))


def show(parts: Gateway, quota: Quota) -> QuotaShown:
    """A quota, and what is held of it."""
    terms = quota.terms
    return QuotaShown(
        id=quota.id,
        subject=quota.subject,
        counts=terms.counts,
        left=quota.left,
        held=sum(one.open for one in parts.views.state.where(Hold, "quota", quota.id)),
        used=quota.used,
        targets=terms.targets,
        from_ms=terms.from_ms,
        until_ms=terms.until_ms,
    )


def _may_see(quota: Quota, caller: Caller) -> bool:
    return quota.subject == caller.subject if caller.role is Role.RESIDENT else caller.sees_people
