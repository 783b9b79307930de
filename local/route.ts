/** The values of a route's `{name}` segments, decoded. */
export type RouteParams = Readonly<Record<string, string>>;

/** A route of the app: each segment is a word in lower case or the name of a parameter. */
export type Route = readonly ({ readonly word: string } | { readonly param: string })[];

/** Reads `api/sessions/{id}`. Refuses the forms of ASP.NET that the local host does not know. */
export function parseRoute(text: string): Route {
  return text.split('/').map((segment) => {
    const param = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (param !== undefined) return { param };
    if (!/[{}]/.test(segment)) return { word: segment.toLowerCase() };
    throw new Error(`The local host does not know "${segment}" in the route "${text}".`);
  });
}

/** Returns the parameters when the path (with its leading slash) has the route's form. */
export function matchRoute(route: Route, path: string): RouteParams | undefined {
  const segments = path.slice(1).replace(/\/$/, '').split('/');
  if (segments.length !== route.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of route.entries()) {
    const segment = decodeSegment(segments[index] ?? '');
    if ('param' in expected) {
      if (segment === '') return undefined;
      params[expected.param] = segment;
    } else if (segment.toLowerCase() !== expected.word) return undefined;
  }
  return params;
}

function decodeSegment(segment: string): string {
  try {
    // As in Azure, an encoded slash stays encoded: it never starts a new segment.
    return decodeURIComponent(segment.replace(/%2f/gi, '%252F'));
  } catch {
    return segment;
  }
}
