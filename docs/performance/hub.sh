#!/bin/sh
# Starts hub-server for a measurement, as an operator would for a class but for the one
# password: PORT, an administrator's TOKEN, a DIRECTORY for its files, the file of USERS.
set -eu
port=$1 token=$2 directory=$3 users=$4
cat > "$directory/hub.toml" <<TOML
[http]
listen = "127.0.0.1:$port"
[hub_api]
listen = "127.0.0.1:$((port + 1))"
[store]
url = "sqlite://$directory/hub.sqlite"
[auth]
allow_all = true
[auth.dummy]
password = "bench"
[spawner.docker]
image = "notebook"
[[services]]
name = "bench"
api_token = "$token"
admin = true
[log]
level = "warn"
TOML
exec "${HUB_SERVER:-hub-server}" --config "$directory/hub.toml"
