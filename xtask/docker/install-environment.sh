# Makes /opt/notebook, a Python environment with everything in requirements.txt.
# Runs in the first stage of notebook.Dockerfile: with the word `tools` to install
# what that takes, with the word `packages` to do it.
set -eu
host=/run/build-host

# What the host trusts and which proxies it uses; every file may be empty. The
# certificates stay at a path of their own: installing the distribution's
# ca-certificates (a dependency below) writes the usual one anew.
if [ -s "$host/ca-certificates.crt" ]; then
    export PIP_CERT="$host/ca-certificates.crt"
    echo "Acquire::https::CaInfo \"$host/ca-certificates.crt\";" > /etc/apt/apt.conf.d/98build-host
fi
if [ -s "$host/apt.conf" ]; then
    cp "$host/apt.conf" /etc/apt/apt.conf.d/99build-host
fi
if [ -s "$host/pip.conf" ]; then
    cp "$host/pip.conf" /etc/pip.conf
fi
set -a
. "$host/environment"
set +a

if [ "$1" = tools ]; then
    apt-get update -q
    apt-get install -yq --no-install-recommends python3 python3-venv
    exit
fi

python3 -m venv /opt/notebook
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
/opt/notebook/bin/pip install --only-binary :all: -r /run/build/requirements.txt

# Byte code is made again when a module is first imported by root only, so it
# stays; what nobody imports goes.
find /opt/notebook -depth -type d \( -name tests -o -name test \) \
    -path '*/site-packages/*' -exec rm -rf {} +
find /opt/notebook -name '*.map' -delete
rm -rf /opt/notebook/share/man
/opt/notebook/bin/jupyterhub-singleuser --version
# Images of the matrix may have the classic notebook only.
if [ -x /opt/notebook/bin/jupyter-lab ]; then
    /opt/notebook/bin/jupyter lab --version
fi
