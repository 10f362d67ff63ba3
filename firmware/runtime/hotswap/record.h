/* Slot records: reading, checking, writing. record_layout.h says which byte is what. */
#ifndef EP_HOTSWAP_RECORD_H
#define EP_HOTSWAP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "device.pb.h"
#include "marks.h"
#include "package.pb.h"
#include "record_layout.h"

/* The bytes before the marks, as they lie in flash; all boards are little endian. */
typedef struct {
  uint32_t magic;
  uint16_t format;
  uint16_t manifest_length;
  uint32_t swap_number;
  uint32_t payload_size;
  uint32_t payload_crc;
  uint32_t timestamp;
  uint8_t key_id[EP_RECORD_KEY_ID_SIZE];
  uint8_t signature[EP_RECORD_SIGNATURE_SIZE];
  uint8_t manifest[EP_RECORD_MANIFEST_MAX];
  uint32_t flags;
  uint8_t reserved[8];
  uint32_t crc;
} ep_record_header_t;

typedef struct {
  ep_record_header_t header;
  ep_marks_t marks;
  uint8_t state; /* edgeplug_SlotState: what header and marks say; the payload is not looked at */
} ep_record_t;

/* The record holds, whatever its marks say. */
static inline bool ep_record_intact(const ep_record_t *record) {
  return record->state != edgeplug_SlotState_SLOT_STATE_EMPTY &&
         record->state != edgeplug_SlotState_SLOT_STATE_UNREADABLE;
}

/* Reads the record of `slot`. Marks and swap number are 0 if it isn't intact. */
void ep_record_read(const ep_journal_t *journal, uint32_t slot, ep_record_t *record);

/* Erases the page of `slot` that holds payload byte `offset`. If that is the record's page too, programs the header
 * into it, with its CRC. Errors of flash.h. */
int ep_record_open_page(ep_flash_t *flash, uint32_t slot, uint32_t offset, ep_record_header_t *header);

/* Decodes the manifest, fills in what it leaves to defaults, and checks it against the limits of this board: also in
 * flash it may be anybody's. EP_OK, EP_ERR_MANIFEST, EP_ERR_PACKAGE_TOO_LARGE, EP_ERR_BOARD_CLASS, EP_ERR_ABI,
 * EP_ERR_CHANNELS or EP_ERR_MEMORY. */
int ep_record_manifest(const ep_record_t *record, edgeplug_Manifest *manifest);

/* First 16 bytes of SHA-512: the name of a package (of its manifest's bytes), and in 8 of them that of a key. */
void ep_record_name(const void *data, uint32_t size, uint8_t name[EP_JOURNAL_DIGEST]);

/* First 16 bytes of the SHA-512 of the manifest bytes: the package's name in journal and lists. */
void ep_record_digest(const ep_record_t *record, uint8_t digest[EP_JOURNAL_DIGEST]);

/* Checks the payload in flash against the manifest; three tries, since a reading may fail. EP_OK,
 * EP_ERR_PAYLOAD_CRC, EP_ERR_PAYLOAD_DIGEST, EP_ERR_ECC or EP_ERR_FLASH. */
int ep_record_check_payload(uint32_t slot, const edgeplug_Manifest *manifest);

#endif
