/* Slot records: reading, checking, writing. record_layout.h says which byte is what. */
#ifndef EP_HOTSWAP_RECORD_H
#define EP_HOTSWAP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "marks.h"
#include "package.pb.h"
#include "record_layout.h"

typedef struct {
  bool intact;     /* magic, format, lengths and record CRC hold in three readings; else the rest is zero */
  bool unreadable; /* not even that could be read */
  uint32_t swap_number;
  ep_marks_t marks;
} ep_record_t;

/* Reads the record of `slot` into `header` (the bytes before the marks), and its marks into `record`. */
void ep_record_read(const ep_journal_t *journal, uint32_t slot, uint8_t header[EP_RECORD_HEADER_SIZE],
                    ep_record_t *record);

/* The same at boot: also settles the marks. */
void ep_record_settle(ep_journal_t *journal, uint32_t slot, uint8_t header[EP_RECORD_HEADER_SIZE],
                      ep_record_t *record);

uint32_t ep_record_u32(const uint8_t *bytes);
void ep_record_put_u32(uint8_t *bytes, uint32_t value);

uint32_t ep_record_manifest_size(const uint8_t header[EP_RECORD_HEADER_SIZE]);

/* Writes the record CRC into a header whose other fields are filled in. */
void ep_record_seal(uint8_t header[EP_RECORD_HEADER_SIZE]);

/* Programs a sealed header; the page must be erased. Errors of ep_flash_program(). */
int ep_record_write(ep_flash_t *flash, uint32_t slot, const uint8_t header[EP_RECORD_HEADER_SIZE]);

/* Decodes the manifest in `header`. EP_OK or EP_ERR_MANIFEST. */
int ep_record_manifest(const uint8_t header[EP_RECORD_HEADER_SIZE], edgeplug_Manifest *manifest);

/* First 16 bytes of the SHA-512 of the manifest bytes: the package's name in journal and lists. */
void ep_record_digest(const uint8_t header[EP_RECORD_HEADER_SIZE], uint8_t digest[EP_JOURNAL_DIGEST]);

/* Checks the payload in flash against the manifest; three tries, since a reading may fail. EP_OK,
 * EP_ERR_PAYLOAD_CRC, EP_ERR_PAYLOAD_DIGEST, EP_ERR_ECC or EP_ERR_FLASH. */
int ep_record_check_payload(uint32_t slot, const edgeplug_Manifest *manifest);

/* Which page of a slot holds the record, counted from 0. */
uint32_t ep_record_page(void);

#endif
