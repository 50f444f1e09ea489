# docker build -t senet_landmark .                          prediction and the service, no TensorFlow
# docker build -t senet_landmark:train --target train .     also records, training, conversion
#
# container/install.sh does the installation, here and without a container engine.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS source
ENV PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY . .

FROM source AS install-serve
RUN ["bash", "container/install.sh", "serve", "/opt/senet_landmark"]

FROM source AS install-train
RUN ["bash", "container/install.sh", "train", "/opt/senet_landmark"]

FROM python:${PYTHON}-slim AS runtime
RUN useradd --uid 10001 --create-home landmarks && install --directory --owner=landmarks /work
ENV PATH=/opt/senet_landmark/bin:$PATH PYTHONUNBUFFERED=1
# Photos, records and results are mounted here.
WORKDIR /work
USER landmarks
ENTRYPOINT ["senet-landmark"]

FROM runtime AS train
COPY --from=install-train /opt/senet_landmark /opt/senet_landmark
CMD ["--help"]

# The last stage is what `docker build` without --target makes.
FROM runtime AS serve
COPY --from=install-serve /opt/senet_landmark /opt/senet_landmark
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["serve", "--host", "0.0.0.0"]
