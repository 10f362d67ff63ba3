# Bare-metal Arm by Debian's gcc-arm-none-eabi. A board's toolchain file sets EP_CPU_FLAGS and includes this.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_ASM_COMPILER arm-none-eabi-gcc)
# the compiler can't link a program without start-up code, so its check only compiles
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "${EP_CPU_FLAGS} -ffreestanding -fbuiltin -ffunction-sections -fdata-sections -fno-common")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${EP_CPU_FLAGS} -nostdlib -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings")
