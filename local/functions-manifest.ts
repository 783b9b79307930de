/** A function as the deployed app must register it: HTTP with a route and methods, or a timer. */
export interface ManifestEntry {
  readonly name: string;
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly schedule?: string;
}

// Every resource registers all methods: the host hides a resource behind a 404 for the others, and
// only the app can answer 405 with what is allowed.
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

/**
 * INVARIANT: this is exactly what the built app registers; the build fails otherwise. Azure starts an
 * app with a missing function, or with none, without a word.
 */
export const functionsManifest: readonly ManifestEntry[] = [
  { name: 'deliver', schedule: '*/15 * * * * *' },
  { name: 'approvals', route: 'api/approvals', methods },
  { name: 'audit', route: 'api/audit', methods },
  { name: 'audit-alarms', route: 'api/audit/alarms', methods },
  { name: 'audit-entry', route: 'api/audit/{chain}/{seq}', methods },
  { name: 'audit-checkpoints', route: 'api/audit/checkpoints', methods },
  { name: 'audit-export', route: 'api/audit/export', methods },
  { name: 'audit-feed', route: 'api/audit/feed', methods },
  { name: 'delegation', route: 'api/delegations/{id}', methods },
  { name: 'delegations', route: 'api/delegations', methods },
  { name: 'discovery', route: '.well-known/sallyport', methods },
  { name: 'gateway-connection-close', route: 'api/gateway/connections/{id}/close', methods },
  { name: 'gateway-connections', route: 'api/gateway/connections', methods },
  { name: 'gateway-leaks', route: 'api/gateway/leaks', methods },
  { name: 'gateway-leases', route: 'api/gateway/leases', methods },
  { name: 'gateway-probes', route: 'api/gateway/probes', methods },
  { name: 'health-live', route: 'api/health/live', methods },
  { name: 'health-ready', route: 'api/health/ready', methods },
  { name: 'jwks', route: '.well-known/jwks.json', methods },
  { name: 'lock', route: 'api/locks/{id}', methods },
  { name: 'locks', route: 'api/locks', methods },
  { name: 'openapi', route: 'api/openapi.json', methods },
  { name: 'operation', route: 'api/operations/{id}', methods },
  { name: 'policy-explain', route: 'api/policy/explain', methods },
  { name: 'policy-simulate', route: 'api/policy/simulate', methods },
  { name: 'reconcile', schedule: '*/30 * * * * *' },
  { name: 'reevaluate', schedule: '15,45 * * * * *' },
  { name: 'seal', schedule: '10,40 * * * * *' },
  { name: 'session-approval', route: 'api/sessions/{id}/approval', methods },
  { name: 'session-extend', route: 'api/sessions/{id}/extend', methods },
  { name: 'session-terminate', route: 'api/sessions/{id}/terminate', methods },
  { name: 'session-tickets', route: 'api/sessions/{id}/tickets', methods },
  { name: 'session', route: 'api/sessions/{id}', methods },
  { name: 'sessions', route: 'api/sessions', methods },
  { name: 'terminations', route: 'api/terminations', methods },
  { name: 'target', route: 'api/targets/{id}', methods },
  { name: 'targets', route: 'api/targets', methods },
  { name: 'whoami', route: 'api/whoami', methods },
];
