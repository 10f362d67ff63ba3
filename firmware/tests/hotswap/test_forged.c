/* What fuzzing of flash found: bytes that hold by their CRC and say what no engine would have written. */
#include "check.h"
#include "crypto/crc32.h"
#include "errors.h"
#include "world.h"

static world_t world;
static package_t package;

static void running(flash_geometry_t geometry, manifest_edit_fn edit) {
  world_init(&world, geometry, 5);
  world_boot(&world, EP_RESET_POWER_ON);
  package_make(&package, 1, AGENT_GOOD, 300, edit);
  CHECK_EQ(world_update(&world, &package), EP_OK);
}

static uint8_t *entry_bytes(uint32_t half, uint32_t index) {
  const ep_board_map_t *map = flash_map(world.flash.geometry);
  return world.flash.bytes + map->journal_address + half * map->journal_half_size + index * 32u;
}

static void write_entry(uint32_t half, uint32_t index, ep_journal_entry_t *entry) {
  entry->crc = ep_crc32(0, entry, 28);
  memcpy(entry_bytes(half, index), entry, sizeof *entry);
}

static void run_in(flash_geometry_t geometry) {
  TEST("a journal header with more keys than there is room for is no header, and no reply overflows by it") {
    edgeplug_KeyList list;
    ep_journal_entry_t entry;
    running(geometry, NULL);
    for (uint32_t half = 0; half < 2u; half++) {
      for (uint32_t index = 0; index < 2u; index++) {
        memcpy(&entry, entry_bytes(half, index), sizeof entry);
        entry.kind = EP_JOURNAL_HEADER;
        entry.slot = 9;
        write_entry(half, index, &entry);
      }
    }
    world_boot(&world, EP_RESET_POWER_ON);
    ep_hotswap_keys(&world.engine, &list);
    CHECK_EQ(list.keys_count, 0);
    CHECK(ep_hotswap_locked(&world.engine));
    CHECK_EQ(world_running(&world), 1);
  }
  TEST("a staging entry that names a third slot leads to one of the two") {
    edgeplug_BeginReply reply = edgeplug_BeginReply_init_zero;
    world_init(&world, geometry, 5);
    world_boot(&world, EP_RESET_POWER_ON);
    world.engine.journal.kept[EP_KEPT_STAGING].slot = 0x87;
    CHECK_EQ(ep_journal_save(&world.engine.journal, EP_KEPT_STAGING, EP_JOURNAL_BEGIN), EP_OK);
    world_boot(&world, EP_RESET_POWER_ON);
    package_make(&package, 1, AGENT_GOOD, 300, NULL);
    CHECK_EQ(ep_hotswap_begin(&world.engine, &package.begin, &reply), EP_OK);
    CHECK(reply.slot <= 1u);
  }
  TEST("a confirmed record whose manifest asks for more than the board has is no agent") {
    ep_record_header_t header;
    const uint8_t outputs[] = {0x70, 2}, many[] = {0x70, 120}; /* field 14 */
    uint8_t *bytes = world.flash.bytes + EP_RECORD_PAYLOAD_MAX;
    uint32_t at = 0;
    running(geometry, NULL);
    memcpy(&header, bytes, sizeof header);
    /* behind the last field: a later one of the same number counts */
    at = header.manifest_length;
    memcpy(header.manifest + at, outputs, sizeof outputs);
    header.manifest_length += (uint16_t)sizeof outputs;
    header.crc = ep_crc32(0, &header, EP_RECORD_CRC_OFFSET);
    memcpy(bytes, &header, sizeof header);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 1);
    memcpy(header.manifest + at, many, sizeof many);
    header.crc = ep_crc32(0, &header, EP_RECORD_CRC_OFFSET);
    memcpy(bytes, &header, sizeof header);
    world_boot(&world, EP_RESET_POWER_ON);
    CHECK_EQ(world_running(&world), 0);
    package_make(&package, 2, AGENT_GOOD, 300, NULL);
    CHECK_EQ(world_update(&world, &package), EP_OK);
    CHECK_EQ(world_running(&world), 2);
  }
}

int main(void) {
  printf("# 2 KiB pages, 8-byte units\n");
  run_in(FLASH_L5);
  printf("# 4 KiB erases, 256-byte programs\n");
  run_in(FLASH_NOR);
  return check_done();
}
