rule claims:
    """Decide the claims that the default runs can decide."""
    input:
        **{name: [TABLES[name]] for name in CLAIM_TABLES},
    output:
        claims=table("claims"),
        evidence=table("evidence"),
    log:
        logs("claims.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("analysis.claims"),
        tables=CLAIM_TABLES,
        conditions=condition_settings,
        smallest_effects=configuration.smallest_effects.model_dump(),
    script:
        "../scripts/claims.py"


rule claims_figure:
    """Draw every claim's effect with its interval beside what would matter."""
    input:
        claims=TABLES["claims"],
    output:
        figure("claims", shows="claims", group="All conditions"),
    log:
        logs("figures/claims.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.claims"),
        note=source.title,
    script:
        "../scripts/claims_figure.py"
