import { explainAnswerShape, explainRequestShape } from './explain.ts';
import { simulateAnswerShape, simulateRequestShape } from './simulate-view.ts';

/** The operations about policy. */
export const policyOperations = [
  {
    path: '/api/policy/explain',
    method: 'POST',
    summary: 'Explain what policy decides about a request, and what would change it.',
    body: explainRequestShape,
    answers: { 200: explainAnswerShape },
  },
  {
    path: '/api/policy/simulate',
    method: 'POST',
    summary: 'Tell what a proposed policy set would decide otherwise.',
    body: simulateRequestShape,
    answers: { 200: simulateAnswerShape },
  },
] as const;
