rule claims:
    """Decide the claims that the default runs can decide."""
    input:
        **plan.claim_tables,
    output:
        claims=table("claims", caption="claims", group="Claims"),
        evidence=table("evidence", caption="claims", group="Claims"),
    log:
        layout.logs("claims.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("analysis.claims"),
        tables=list(plan.claim_tables),
        conditions=told(jobs.all_conditions),
        smallest_effects=configuration.smallest_effects.model_dump(),
    script:
        "../scripts/claims.py"


# Decide all claims, with the tables of the studies.
use rule claims as all_claims with:
    input:
        **plan.all_claim_tables,
    output:
        claims=table("all_claims", caption="claims", group="Claims"),
        evidence=table("all_evidence", caption="claims", group="Claims"),
    log:
        layout.logs("all_claims.log"),
    params:
        code=code_digest("analysis.claims"),
        tables=list(plan.all_claim_tables),
        conditions=told(jobs.all_conditions),
        smallest_effects=configuration.smallest_effects.model_dump(),
