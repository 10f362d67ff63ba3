/* The slot record: the last 512 bytes of a slot, byte by byte, all integers little endian. This table
 * is the only one: C includes it, and the generator turns every EP_RECORD_ line into a TypeScript constant.
 *
 *   0    magic            4    "EPSR"
 *   4    format           2    1
 *   6    manifest length  2    1..304
 *   8    swap number      4    assigned by the board, rises by one with each update
 *   12   payload size     4    bytes, 1..13824
 *   16   payload CRC-32   4    ISO-HDLC
 *   20   timestamp        4    Unix seconds, told by the host, informative
 *   24   key id           8    first 8 bytes of SHA-512 of the public key; zeros = unsigned
 *   32   signature        64   Ed25519 over the manifest bytes; zeros = unsigned
 *   96   manifest         304  exact signed bytes, zero padded
 *   400  flags            4    bit 0 signed, bit 1 the key was known when it was staged
 *   404  reserved         8    zeros
 *   412  record CRC-32    4    over bytes 0..411
 *   416  marks            96   six marks of 16 bytes, each two equal program units
 */
#ifndef EP_HOTSWAP_RECORD_LAYOUT_H
#define EP_HOTSWAP_RECORD_LAYOUT_H

#define EP_RECORD_SLOT_SIZE   14336u
#define EP_RECORD_PAYLOAD_MAX 13824u
#define EP_RECORD_SIZE        512u
#define EP_RECORD_MAGIC       0x52535045u
#define EP_RECORD_FORMAT      1u

#define EP_RECORD_MAGIC_OFFSET           0u
#define EP_RECORD_FORMAT_OFFSET          4u
#define EP_RECORD_MANIFEST_LENGTH_OFFSET 6u
#define EP_RECORD_SWAP_NUMBER_OFFSET     8u
#define EP_RECORD_PAYLOAD_SIZE_OFFSET    12u
#define EP_RECORD_PAYLOAD_CRC_OFFSET     16u
#define EP_RECORD_TIMESTAMP_OFFSET       20u
#define EP_RECORD_KEY_ID_OFFSET          24u
#define EP_RECORD_KEY_ID_SIZE            8u
#define EP_RECORD_SIGNATURE_OFFSET       32u
#define EP_RECORD_SIGNATURE_SIZE         64u
#define EP_RECORD_MANIFEST_OFFSET        96u
#define EP_RECORD_MANIFEST_MAX           304u
#define EP_RECORD_FLAGS_OFFSET           400u
#define EP_RECORD_FLAG_SIGNED            1u
#define EP_RECORD_FLAG_VERIFIED          2u
#define EP_RECORD_CRC_OFFSET             412u
#define EP_RECORD_HEADER_SIZE            416u

#define EP_RECORD_MARK_SIZE             16u
#define EP_RECORD_MARK_STAGED_OFFSET    416u
#define EP_RECORD_MARK_TRIAL_OFFSET     432u
#define EP_RECORD_MARK_TRIAL_COUNT      3u
#define EP_RECORD_MARK_CONFIRMED_OFFSET 480u
#define EP_RECORD_MARK_REJECTED_OFFSET  496u

#endif
