"""A service that tells its visitors who they are, with JupyterHub's classes for Tornado."""

import asyncio
import os
from urllib.parse import urlparse

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.web import Application, RequestHandler, authenticated

PREFIX = os.environ["JUPYTERHUB_SERVICE_PREFIX"]


class Whoami(HubOAuthenticated, RequestHandler):
    @authenticated
    def get(self):
        visitor = self.get_current_user()
        self.write({"name": visitor["name"], "scopes": visitor["scopes"]})


async def main():
    handlers = [(PREFIX, Whoami), (PREFIX + "oauth_callback", HubOAuthCallbackHandler)]
    address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    Application(handlers, cookie_secret=os.urandom(32)).listen(address.port, address.hostname)
    print("listening for", os.environ["JUPYTERHUB_SERVICE_NAME"], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
