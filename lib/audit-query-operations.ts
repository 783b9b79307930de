import { alarmListShape, auditEntryShape, auditListShape, auditQueryShape } from './audit-view.ts';

/** The operations about single entries of the audit log, and about what is wrong with it. */
export const auditQueryOperations = [
  {
    path: '/api/audit',
    method: 'GET',
    summary: 'Find entries of the audit log, newest first: mine, or all with the role Audit.Read.',
    query: auditQueryShape,
    answers: { 200: auditListShape },
  },
  {
    path: '/api/audit/{chain}/{seq}',
    method: 'GET',
    summary: 'Read one entry, with what it takes to verify it offline.',
    answers: { 200: auditEntryShape },
  },
  {
    path: '/api/audit/alarms',
    method: 'GET',
    summary: 'List what sealers have found to be wrong with the audit log.',
    answers: { 200: alarmListShape },
  },
] as const;
