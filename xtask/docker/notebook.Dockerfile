# A small single-user image: Python, JupyterLab and the hub's client side.
#
# Two stages. The first may see the build host's certificates and pip settings
# (host/, see images.rs); the second takes only the finished Python environment,
# so that nothing of the build host is left in a layer of the image.
ARG BASE
FROM ${BASE} AS wheels
ENV DEBIAN_FRONTEND=noninteractive
COPY host/ /run/build-host/
COPY install-environment.sh /run/build/
# A layer of its own, which all images share.
RUN sh /run/build/install-environment.sh tools
COPY requirements.txt /run/build/
RUN sh /run/build/install-environment.sh packages

FROM ${BASE}
LABEL org.opencontainers.image.title="hub-notebook" \
      org.opencontainers.image.description="JupyterLab for one user of a hub"
# The base made from Debian packages has Python already and needs no network
# here. The proxy variables are Docker's predefined build arguments, which are
# not recorded in the image.
RUN command -v python3 >/dev/null \
 || { apt-get update -q \
   && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends python3 ca-certificates \
   && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log; }
RUN useradd --create-home --uid 1000 --gid 100 --shell /bin/bash jovyan \
 && install -d -o jovyan -g 100 /home/jovyan/work
COPY --from=wheels /opt/notebook /opt/notebook
# No question about news at the first start: the server may not reach the internet.
RUN install -d /opt/notebook/share/jupyter/lab/settings \
 && printf '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}\n' \
    > /opt/notebook/share/jupyter/lab/settings/overrides.json
ENV PATH=/opt/notebook/bin:$PATH \
    LANG=C.UTF-8 \
    HOME=/home/jovyan \
    SHELL=/bin/bash
USER 1000:100
WORKDIR /home/jovyan/work
EXPOSE 8888
CMD ["jupyterhub-singleuser"]
