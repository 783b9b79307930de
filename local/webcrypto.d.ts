// @peculiar/x509 speaks of these as the DOM library does. Node.js has them under a name of its own, and the DOM
// library would bring `window` and its kin into every file.
type Algorithm = import('node:crypto').webcrypto.Algorithm;
type BufferSource = import('node:crypto').webcrypto.BufferSource;
type CryptoKeyPair = import('node:crypto').webcrypto.CryptoKeyPair;
type EcKeyGenParams = import('node:crypto').webcrypto.EcKeyGenParams;
type EcKeyImportParams = import('node:crypto').webcrypto.EcKeyImportParams;
type EcdsaParams = import('node:crypto').webcrypto.EcdsaParams;
type KeyUsage = import('node:crypto').webcrypto.KeyUsage;
type RsaHashedImportParams = import('node:crypto').webcrypto.RsaHashedImportParams;
type AlgorithmIdentifier = import('node:crypto').webcrypto.AlgorithmIdentifier;
type Crypto = import('node:crypto').webcrypto.Crypto;
type CryptoKey = import('node:crypto').webcrypto.CryptoKey;
