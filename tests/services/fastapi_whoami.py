"""A service that speaks the hub's OAuth 2 by itself, without JupyterHub's classes."""

import json
import os
from urllib.parse import urlencode, urlparse

import httpx
import uvicorn
from fastapi import Cookie, FastAPI, HTTPException
from fastapi.responses import RedirectResponse

API = os.environ["JUPYTERHUB_API_URL"]
PREFIX = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
CLIENT = os.environ["JUPYTERHUB_CLIENT_ID"]
CALLBACK = os.environ["JUPYTERHUB_OAUTH_CALLBACK_URL"]
SECRET = os.environ["JUPYTERHUB_API_TOKEN"]
NEEDED = set(json.loads(os.environ["JUPYTERHUB_OAUTH_ACCESS_SCOPES"]))
HUB = os.environ["JUPYTERHUB_BASE_URL"] + "hub/api/oauth2/authorize"

app = FastAPI()


@app.get(PREFIX)
async def whoami(fast_token: str = Cookie(default="")):
    if not fast_token:
        query = {"client_id": CLIENT, "redirect_uri": CALLBACK, "response_type": "code"}
        return RedirectResponse(f"{HUB}?{urlencode(query)}", status_code=302)
    headers = {"Authorization": f"Bearer {fast_token}"}
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{API}/user", headers=headers)
    if answer.is_error:
        raise HTTPException(status_code=401)
    visitor = answer.json()
    if not NEEDED.intersection(visitor["scopes"]):
        raise HTTPException(status_code=403)
    return {"name": visitor["name"], "scopes": visitor["scopes"]}


@app.get(PREFIX + "oauth_callback")
async def oauth_callback(code: str):
    form = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
    }
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{API}/oauth2/token", data=form)
    answer.raise_for_status()
    response = RedirectResponse(PREFIX, status_code=302)
    response.set_cookie("fast_token", answer.json()["access_token"], path=PREFIX, httponly=True)
    return response


address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
uvicorn.run(app, host=address.hostname, port=address.port)
