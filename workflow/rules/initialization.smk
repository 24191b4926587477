rule activations:
    """Measure the tutorial's networks of noise under three initializations, layer by layer."""
    output:
        activations=table("activations"),
        histograms=table("histograms"),
    log:
        logs("activations.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("experiments.initialization"),
        arms=["vanilla", "batchnorm"],
        seeds=EXAMINED_SEEDS,
        shown_seed=SHOWN_SEED,
        epsilon=configuration.normalization.epsilon,
    script:
        "../scripts/activations.py"


rule activation_figures:
    """Draw the tutorial's networks of noise under one initialization: layers, histograms, growth."""
    input:
        activations=TABLES["activations"],
        histograms=TABLES["histograms"],
    output:
        layers=figure("initialization/{start}_layers", shows="layers", group="Initialization", networks="{start}"),
        histograms=figure(
            "initialization/{start}_histograms", shows="histograms", group="Initialization", networks="{start}"
        ),
        growth=figure(
            "initialization/{start}_growth", shows="growth of noise", group="Initialization", networks="{start}"
        ),
    log:
        logs("figures/initialization_{start}.log"),
    wildcard_constraints:
        start="|".join(INITIALIZATIONS),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.activations"),
        arms=["vanilla", "batchnorm"],
    script:
        "../scripts/activation_figures.py"


rule initialization:
    """Measure the networks of all conditions on their first mini-batch, before the first step."""
    input:
        packed=PACKED,
    output:
        layers=table("initial_layers"),
        networks=table("initialization"),
    log:
        logs("initialization.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("experiments.initialization"),
        settings=examined_settings(),
        seeds=EXAMINED_SEEDS,
    script:
        "../scripts/initialization.py"


rule growth_figure:
    """Draw how signal and gradient grow from layer to layer before the first step, against theory."""
    input:
        layers=TABLES["initial_layers"],
    output:
        figure("initialization/growth", shows="growth", group="Initialization", networks="those trained"),
    log:
        logs("figures/growth.log"),
    conda:
        "../envs/bnpipe.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("figures.initialization"),
        conditions=EXAMINED,
        note=EXAMINED_NOTE,
        arms=ARMS,
    script:
        "../scripts/growth_figure.py"
