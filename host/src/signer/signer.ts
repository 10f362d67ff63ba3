/** An Ed25519 key that signs, wherever it lives. */
export interface Signer {
  /** 8 bytes. */
  readonly keyId: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes over exactly `message`. Throws SIGNER, PASSPHRASE or KEY_FILE; INTERRUPTED once the signal is aborted. */
  sign(message: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}
