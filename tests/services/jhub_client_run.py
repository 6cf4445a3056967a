"""Runs a line of code on a person's server by way of jhub-client, with a token."""

import asyncio
import sys

from jhub_client.api import JupyterHubAPI


async def main(hub_url, user):
    async with JupyterHubAPI(hub_url) as hub:
        server = await hub.ensure_server(user, timeout=120)
        async with server:
            _, kernel = await server.ensure_kernel()
            async with kernel:
                print(await kernel.send_code(user, "6 * 7"))
        await hub.delete_server(user)


asyncio.run(main(*sys.argv[1:]))
