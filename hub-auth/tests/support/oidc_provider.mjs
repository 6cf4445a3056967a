// An OpenID provider for a test: the npm package oidc-provider, on a free port of this
// machine, with one client and people who are whoever they say.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [library, client_id, client_secret, redirect, afterSignOut] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(library));

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'first', use: 'sig', alg: 'RS256' };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id,
      client_secret,
      redirect_uris: [redirect],
      post_logout_redirect_uris: [afterSignOut],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post',
    }],
    pkce: { required: () => true },
    jwks: { keys: [key] },
    cookies: { keys: ['of a test'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['preferred_username', 'name'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    issueRefreshToken: async () => true,
    // Each is good for one use.
    rotateRefreshToken: true,
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({
        sub: id,
        preferred_username: id.toUpperCase(),
        name: `${id} of the lab`,
        email: `${id}@lab.test`,
        email_verified: true,
        groups: ['staff', 'owls'],
      }),
    }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
