import type { Config, Environment } from './config.ts';
import { readSettings, sealerShape } from './config.ts';

/** The settings of a sealer. Each is one row in `docs/operate.md`. */
export type SealerConfig = Pick<
  Config,
  'url' | 'tablesUrl' | 'rootKey' | 'trustedRoots' | 'managedIdentity'
> & {
  /** The container of the copies of checkpoints. */
  readonly checkpointsUrl?: URL;
};

/**
 * Returns the settings of the sealer, or undefined where this process is none: it is one in local mode, and where the
 * settings say so. Throws one error that lists every setting that is missing or wrong.
 */
export function parseSealerConfig(environment: Environment): SealerConfig | undefined {
  if (environment['SALLYPORT_SEALER'] === 'off') return undefined;
  const s = readSettings(sealerShape, environment);
  const isOn = s.SALLYPORT_SEALER ?? (s.SALLYPORT_TABLES_URL.protocol === 'http:' ? 'on' : 'off');
  if (isOn === 'off') return undefined;
  const { SALLYPORT_CHECKPOINTS_URL: checkpointsUrl, AZURE_CLIENT_ID: managedIdentity } = s;
  return {
    url: s.SALLYPORT_URL,
    tablesUrl: s.SALLYPORT_TABLES_URL,
    rootKey: s.SALLYPORT_ROOT_KEY,
    trustedRoots: s.SALLYPORT_TRUSTED_ROOTS?.keys ?? [],
    ...(managedIdentity === undefined ? {} : { managedIdentity }),
    ...(checkpointsUrl === undefined ? {} : { checkpointsUrl }),
  };
}
