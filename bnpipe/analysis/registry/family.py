"""All claims together, and the digest that tells the registered plan from others.

The size of the family is fixed. A claim that a run cannot measure still counts in the correction for their number.
"""

from collections.abc import Mapping
from hashlib import sha256

from bnpipe.analysis.registry.best_rates import best_rate_claims
from bnpipe.analysis.registry.explanations import explanation_claims
from bnpipe.analysis.registry.tutorial import tutorial_claims
from bnpipe.analysis.verdicts import LEVEL

FAMILY = (*tutorial_claims(), *best_rate_claims(), *explanation_claims())
GROUPS = tuple(dict.fromkeys(claim.group for claim in FAMILY))
CLAIMS = {claim.key: claim for claim in FAMILY}
FIXED = "2026-11-25"  # when the registered plan was fixed
REGISTERED = "4e2e37242363f64050c534918d0577492749f6d99ff5173c8fc53704b7c35862"  # the digest of the registered plan


def plan_text(smallest_effects: Mapping[str, float]) -> str:
    """Return the plan in a canonical form, a line for each fact. smallest_effects: by key, as the configuration."""
    lines = [f"level: {LEVEL:g}", f"family size: {len(FAMILY)}"]
    for claim in FAMILY:
        key = claim.smallest_effect
        sesoi = "outcome" if key is None else f"{key} {smallest_effects[key]:.9g}"
        fields = {
            "claim": claim.key,
            "group": claim.group,
            "statement": claim.statement,
            "measure": claim.measure,
            "condition": claim.condition,
            "smallest effect": sesoi,
        }
        lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\n".join(lines) + "\n"


def plan_digest(smallest_effects: Mapping[str, float]) -> str:
    """Return the SHA-256 of the plan with these smallest effects; that of the registered plan is REGISTERED."""
    return sha256(plan_text(smallest_effects).encode()).hexdigest()
