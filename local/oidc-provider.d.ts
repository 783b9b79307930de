// oidc-provider ships no types. These are the parts that issuer.ts and device-page.ts use.
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  /** What the next tokens hold besides the usual claims. A refresh token inherits it. */
  export interface GrantedClaims {
    readonly access_token?: {
      readonly acrs?: readonly string[];
      readonly xms_cc?: readonly string[];
    };
  }

  type Grantor = { readonly claims?: GrantedClaims };

  /** What a token is made from. */
  export interface TokenContext {
    readonly oidc: {
      readonly entities: { readonly DeviceCode?: Grantor; readonly RefreshToken?: Grantor };
    };
  }

  export interface DeviceCode {
    readonly isExpired: boolean;
    readonly clientId: string;
    readonly params: { readonly scope?: string; readonly claims?: string };
    accountId?: string;
    grantId?: string;
    scope?: string;
    resource?: string;
    authTime?: number;
    claims?: GrantedClaims;
    error?: string;
    save(): Promise<string>;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  export interface Token {
    readonly jti: string;
    readonly clientId: string;
    readonly accountId?: string;
  }

  export class Provider {
    constructor(issuer: string, configuration: object);
    readonly DeviceCode: {
      findByUserCode(code: string): Promise<DeviceCode | undefined>;
    };
    readonly Grant: new (of: { readonly accountId: string; readonly clientId: string }) => Grant;
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    on(
      event: 'device_authorization.success',
      listener: (context: unknown, body: Record<string, unknown>) => void,
    ): this;
    on(event: 'server_error', listener: (context: unknown, error: Error) => void): this;
  }
}

declare module 'oidc-provider/lib/adapters/memory_adapter.js' {
  export function createMemoryAdapter(): (model: string) => object;
}
