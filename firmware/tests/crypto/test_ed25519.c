#include "check.h"

#include <stdint.h>
#include <stdlib.h>

#include "crypto/ed25519.h"
#include "hex.h"

typedef struct {
  const char *name, *key, *message, *signature;
} vector_t;

/* RFC 8032 section 7.1, all five. */
static const vector_t vectors[] = {
    {"TEST 1", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
     "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"TEST 2", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
     "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"TEST 3", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
     "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"TEST SHA(abc)", "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b5890"
     "9351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
    {"TEST 1024", "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
     "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98"
     "fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544e23fb1433ddf73be84d8"
     "79de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d"
     "658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc"
     "1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4fe"
     "ba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
     "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbef"
     "efd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7"
     "aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed1"
     "85ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2"
     "d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24"
     "554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
     "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc"
     "2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b07"
     "07e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128ba"
     "b27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51a"
     "ddd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429e"
     "c96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
     "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c"
     "42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8"
     "ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34df"
     "f7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08"
     "d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649"
     "de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
     "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a3"
     "2ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e"
     "6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
     "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b5"
     "0d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1"
     "369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
     "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c"
     "0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0",
     "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350a"
     "a5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03"},
};

/* L, little endian. */
static const char order[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/* Every encoding of a point of small order: the eight points, then the ways to write four of them with y >= p, or with
 * a sign where x = 0. */
static const char *const small_order[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

typedef struct {
  uint8_t key[32], signature[64];
  uint8_t message[1024];
  size_t size;
} case_t;

static case_t load(const vector_t *vector) {
  case_t loaded;
  hex_decode(loaded.key, vector->key);
  hex_decode(loaded.signature, vector->signature);
  loaded.size = hex_decode(loaded.message, vector->message);
  return loaded;
}

static int verify(const case_t *c) {
  return ep_ed25519_verify(c->signature, c->key, c->message, c->size, NULL, NULL);
}

/* a += b, 32 bytes little endian; answers the carry. */
static unsigned add(uint8_t a[32], const uint8_t b[32]) {
  unsigned carry = 0;
  for (int i = 0; i < 32; i++) {
    carry += (unsigned)a[i] + b[i];
    a[i] = (uint8_t)carry;
    carry >>= 8;
  }
  return carry;
}

static void count(void *context) {
  ++*(int *)context;
}

int main(void) {
  for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
    char sentence[64];
    snprintf(sentence, sizeof sentence, "RFC 8032, %s verifies", vectors[v].name);
    TEST(sentence) {
      case_t c = load(&vectors[v]);
      CHECK_EQ(verify(&c), 0);
    }
  }

  TEST("no flip of any one bit of signature, key or message goes unnoticed") {
    case_t c = load(&vectors[2]);
    for (unsigned bit = 0; bit < 512; bit++) {
      c.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
      CHECK_EQ(verify(&c), -1);
      c.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned bit = 0; bit < 256; bit++) {
      c.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
      CHECK_EQ(verify(&c), -1);
      c.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned bit = 0; bit < 16; bit++) {
      c.message[bit / 8] ^= (uint8_t)(1u << bit % 8);
      CHECK_EQ(verify(&c), -1);
      c.message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK_EQ(verify(&c), 0);
  }

  TEST("a message that is one byte shorter or longer is another message") {
    case_t c = load(&vectors[4]);
    c.size--;
    CHECK_EQ(verify(&c), -1);
    c.size += 2;
    c.message[1023] = 0;
    CHECK_EQ(verify(&c), -1);
  }

  TEST("S + L, S + 2L and so on, which fulfil the same equation, are refused") {
    case_t c = load(&vectors[1]);
    uint8_t l[32];
    hex_decode(l, order);
    int sums = 0;
    while (add(c.signature + 32, l) == 0) {
      CHECK_EQ(verify(&c), -1);
      sums++;
    }
    CHECK_EQ(sums, 15);
  }

  TEST("S = L is refused before anything is computed, S = L − 1 is a scalar like any other") {
    case_t c = load(&vectors[0]);
    int steps = 0;
    hex_decode(c.signature + 32, order);
    CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), -1);
    CHECK_EQ(steps, 0);
    c.signature[32]--;
    CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), -1);
    CHECK_EQ(steps, 256);
  }

  TEST("no key of small order is taken, in whatever encoding, even where the equation holds") {
    for (size_t i = 0; i < sizeof small_order / sizeof *small_order; i++) {
      case_t c = {.size = 1};
      hex_decode(c.key, small_order[i]);
      /* S = 0 and R = −k·A: among 256 messages and the eight points for R there are about 256 that hold */
      for (unsigned m = 0; m < 256; m++) {
        c.message[0] = (uint8_t)m;
        for (size_t r = 0; r < 8; r++) {
          hex_decode(c.signature, small_order[r]);
          CHECK_EQ(verify(&c), -1);
        }
      }
    }
  }

  TEST("a key whose y is not below p, or that is no point, is refused before anything else is computed") {
    case_t c = load(&vectors[0]);
    for (unsigned low = 0xed; low <= 0xff; low++) {
      for (unsigned high = 0x7f; high <= 0xff; high += 0x80) {
        int steps = 0;
        memset(c.key, 0xff, 32);
        c.key[0] = (uint8_t)low;
        c.key[31] = (uint8_t)high;
        CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), -1);
        CHECK_EQ(steps, 0);
      }
    }
    int refused = 0;
    for (unsigned y = 2; y < 102; y++) {
      int steps = 0;
      memset(c.key, 0, 32);
      c.key[0] = (uint8_t)y;
      CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), -1);
      refused += steps == 0;
    }
    CHECK(refused > 30 && refused < 70); /* about every second y has no x */
  }

  TEST("each check calls the step 256 times, whatever comes out of it") {
    for (size_t v = 0; v < 3; v++) {
      int steps = 0;
      case_t c = load(&vectors[v]);
      CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), 0);
      CHECK_EQ(steps, 256);
      c.signature[0] ^= 1;
      CHECK_EQ(ep_ed25519_verify(c.signature, c.key, c.message, c.size, count, &steps), -1);
      CHECK_EQ(steps, 512);
    }
  }

  TEST("nothing is read beyond key, signature and message") {
    case_t c = load(&vectors[1]);
    uint8_t *key = malloc(32), *signature = malloc(64), *message = malloc(1);
    memcpy(key, c.key, 32);
    memcpy(signature, c.signature, 64);
    memcpy(message, c.message, 1);
    CHECK_EQ(ep_ed25519_verify(signature, key, message, 1, NULL, NULL), 0);
    free(key);
    free(signature);
    free(message);
  }
  return check_done();
}
