"""What the rules of the domain ask of a site, found before it starts (RULES A, C2, E)."""

from collections.abc import Mapping

from config.checks.access import check_access
from config.checks.charging import check_charging
from config.checks.emergency import check_emergency
from config.checks.outputs import check_outputs
from config.checks.premises import check_premises
from config.draft import Draft
from gateway.domain.profile import Profile


def check_rules(draft: Draft, profiles: Mapping[str, Profile], *, demo: bool) -> None:
    """Add a problem for each rule that the site would break, and each doubt."""
    check_premises(draft)
    check_access(draft, profiles)
    check_emergency(draft, profiles, demo=demo)
    check_outputs(draft, profiles)
    check_charging(draft)


__all__ = ["check_rules"]
