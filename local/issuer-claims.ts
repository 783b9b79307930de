import { z } from 'zod';

/** The authentication contexts that every demo person satisfies by choosing their name once more. */
export const demoContexts: readonly string[] = ['c1'];

const requestShape = z.object({
  access_token: z.object({
    acrs: z
      .object({ value: z.string().optional(), values: z.array(z.string()).optional() })
      .optional(),
    xms_cc: z.object({ values: z.array(z.string()) }).optional(),
  }),
});

/** Claims of an access token that are granted because they were asked for. */
export type AskedClaims = {
  readonly acrs?: readonly string[];
  readonly xms_cc?: readonly string[];
};

/**
 * Returns what a sign-in gets of the claims that its `claims` parameter asks for (OpenID Connect Core 1.0, section 5.5),
 * as Entra gives it: authentication contexts that it satisfies, and the capabilities of the client. Nothing for a text
 * that is no such request.
 */
export function grantClaims(parameter: string | undefined): AskedClaims {
  const parsed = requestShape.safeParse(parse(parameter));
  if (!parsed.success) return {};
  const { acrs, xms_cc: capabilities } = parsed.data.access_token;
  const asked = [...(acrs?.values ?? []), ...(acrs?.value === undefined ? [] : [acrs.value])];
  const satisfied = demoContexts.filter((context) => asked.includes(context));
  return {
    ...(satisfied.length > 0 && { acrs: satisfied }),
    ...(capabilities && { xms_cc: capabilities.values }),
  };
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
