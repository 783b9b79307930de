import {
  closeRequestShape,
  leakReportShape,
  leaseAnswerShape,
  leaseRequestShape,
  probeReportShape,
  redeemAnswerShape,
  redeemRequestShape,
} from './gateway-call.ts';

/** The operations of gateways. */
export const gatewayOperations = [
  {
    path: '/api/gateway/connections',
    method: 'POST',
    summary: 'Redeem a ticket. Gateways only.',
    body: redeemRequestShape,
    answers: { 201: redeemAnswerShape },
  },
  {
    path: '/api/gateway/leases',
    method: 'POST',
    summary: 'Renew the leases of all connections of a gateway process. Gateways only.',
    body: leaseRequestShape,
    answers: { 200: leaseAnswerShape },
  },
  {
    path: '/api/gateway/connections/{id}/close',
    method: 'POST',
    summary: 'Report how a connection ended. Gateways only.',
    body: closeRequestShape,
    answers: { 204: undefined },
  },
  {
    path: '/api/gateway/probes',
    method: 'POST',
    summary: 'Report what a probe of a port found. Gateways only.',
    body: probeReportShape,
    answers: { 204: undefined },
  },
  {
    path: '/api/gateway/leaks',
    method: 'POST',
    summary: 'Report a ticket that came in a URL, which spends it. Gateways only.',
    body: leakReportShape,
    answers: { 204: undefined },
  },
] as const;
