"""Signs in to a JupyterHub, starts a server and uses a kernel over its WebSocket.

    python jupyterhub_behind_a_proxy.py URL ADMIN_TOKEN SECONDS

The kernel is asked for as long as SECONDS says; then nothing is done any more, and
the hub's culler is waited for. Prints one line of JSON.
"""

import asyncio
import json
import sys
import time
import uuid

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

URL, TOKEN, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
DEADLINE = 120


async def eventually(what, ask):
    """The first true answer."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        answer = await ask()
        if answer:
            return answer
        await asyncio.sleep(0.2)
    raise TimeoutError(what)


async def user(api):
    answer = await api.get("/hub/api/users/ada")
    return answer.json() if answer.status_code == 200 else {}


async def server(api):
    """Ada's server once it is ready."""
    found = (await user(api)).get("servers", {}).get("")
    return found if found and found["ready"] else None


async def sign_in(browser):
    page = await browser.get("/hub/login")
    form = {"username": "ada", "password": "any", "_xsrf": browser.cookies.get("_xsrf")}
    answer = await browser.post("/hub/login", data=form)
    assert answer.status_code == 200, (page.status_code, answer.status_code, answer.url)


def execute(code):
    header = {"msg_id": uuid.uuid4().hex, "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    message = {"header": {**header, "msg_type": "execute_request"}, "content": content}
    return {**message, "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": []}


async def run(socket, code):
    message = execute(code)
    await socket.write_message(json.dumps(message))
    while True:
        said = json.loads(await socket.read_message())
        ours = said["parent_header"].get("msg_id") == message["header"]["msg_id"]
        if ours and said["header"]["msg_type"] == "execute_result":
            return said["content"]["data"]["text/plain"]


async def main():
    api = httpx.AsyncClient(base_url=URL, headers={"Authorization": f"token {TOKEN}"})
    browser = httpx.AsyncClient(base_url=URL, follow_redirects=True, timeout=60)
    await sign_in(browser)
    await browser.get("/hub/spawn/ada")
    began = (await eventually("the server is ready", lambda: server(api)))["last_activity"]

    # The first visit of a page signs in to the server by way of the hub.
    await browser.get("/user/ada/files/none")
    status = await browser.get("/user/ada/api/status")
    assert status.status_code == 200, (status.status_code, status.url)
    xsrf = browser.cookies.get("_xsrf", path="/user/ada/")
    made = await browser.post("/user/ada/api/kernels", json={}, headers={"X-XSRFToken": xsrf})
    assert made.status_code == 201, (made.status_code, made.text)
    cookies = "; ".join(
        f"{c.name}={c.value}" for c in browser.cookies.jar if "/user/ada/".startswith(c.path)
    )
    address = f"{URL}/user/ada/api/kernels/{made.json()['id']}/channels".replace("http", "ws", 1)
    socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": cookies}))
    result = await run(socket, "6 * 7")

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        await run(socket, "1")
        await asyncio.sleep(0.5)
    used = await server(api)
    stays = used is not None
    moved = stays and used["last_activity"] > began
    socket.close()
    await eventually("the server is culled", lambda: gone(api))
    print(json.dumps({"result": result, "stays": stays, "moved": moved, "culled": True}))


async def gone(api):
    found = await user(api)
    return bool(found) and not found["servers"]


asyncio.run(main())
