// A certified OpenID provider for tests: `node provider.mjs PORT CLIENT_ID SECRET REDIRECT_URI JWKS_URI`.
// POST /rotate makes a new signing key and forgets the old one after it.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, client, secret, redirect, jwksUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = {
  ada: { preferred_username: 'ada', groups: ['devs', 'hub-admins'] },
  bob: { preferred_username: 'bob', groups: ['devs'] },
  eve: { preferred_username: 'eve', groups: ['guests'] },
  ann: { preferred_username: 'ann', groups: ['devs'] },
};

function key() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() };
}

function make(keys) {
  const provider = new Provider(issuer, {
    clients: [
      { client_id: client, client_secret: secret, redirect_uris: [redirect] },
      { client_id: `${client}-key`, token_endpoint_auth_method: 'private_key_jwt', jwks_uri: jwksUri,
        token_endpoint_auth_signing_alg: 'ES256', redirect_uris: [redirect] },
    ],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'ES256'] },
    jwks: { keys },
    cookies: { keys: ['test'] },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    async findAccount(_ctx, id) {
      return { accountId: id, async claims() { return { sub: id, ...people[id] }; } };
    },
    ttl: { Interaction: 600, Session: 600, Grant: 600 },
  });
  return provider;
}

let provider = make([key()]);
let callback = provider.callback();

createServer(async (request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    provider = make([key()]);
    callback = provider.callback();
    response.end('rotated');
    return;
  }
  const found = /^\/interaction\/([\w-]+)\?person=(\w+)$/.exec(request.url);
  if (found) {  // whoever the test says has signed in and consents
    const details = await provider.interactionDetails(request, response);
    const grant = new provider.Grant({ accountId: found[2], clientId: details.params.client_id });
    grant.addOIDCScope(details.params.scope);
    const result = { login: { accountId: found[2] }, consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result);
    return;
  }
  callback(request, response);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
