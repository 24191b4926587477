# bnpipe with everything that requirements.lock pins, for the CPU or an NVIDIA GPU. Nobody has built this image yet.
#
#     docker build --tag bnpipe .                         # --build-arg TORCH=cpu leaves CUDA out
#     docker run --rm --volume "$PWD/results:/bnpipe/results" bnpipe                  # everything
#     docker run --rm --volume "$PWD/demo-results:/bnpipe/demo/results" bnpipe demo   # or any other target of make
FROM python:3.12-slim
ARG TORCH=cuda
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /bnpipe
COPY . .
RUN make install TORCH=$TORCH PYTHON=python3 && rm -rf ~/.cache
ENTRYPOINT ["make"]
CMD ["report"]
