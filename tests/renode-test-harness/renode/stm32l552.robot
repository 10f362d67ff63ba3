*** Comments ***
An example for users of Renode's own test runner:

    renode-test tests/renode-test-harness/renode/stm32l552.robot

The board tells on the line `sysbus.events` what happens to it, so a test waits for that as for any line on a UART.


*** Variables ***
${SCRIPT}                           ${CURDIR}/stm32l552.resc
${ELF}                              ${CURDIR}/../../../build/stm32l552/stm32l552.elf
${FLASH}                            sysbus.flashController


*** Keywords ***
Create Board
    Execute Script                  ${SCRIPT}
    Execute Command                 sysbus LoadELF @${ELF}
    Create Terminal Tester          sysbus.events

Start Board
    Create Board
    # the first start formats the journal
    Execute Command                 emulation RunFor "0.5"

Firmware Should Have Kept The Rules
    ${violations}=                  Execute Command  ${FLASH} ViolationCount
    Should Be Equal As Numbers      ${violations}  0


*** Test Cases ***
Firmware Should Boot And Format Its Journal
    Start Board
    ${operations}=                  Execute Command  ${FLASH} Operations
    Should Be True                  int($operations, 0) > 0
    ${log}=                         Execute Command  ${FLASH} OperationLog
    Should Contain                  ${log}  erase 0x08017000 2048
    Firmware Should Have Kept The Rules

Flash Controller Should Refuse What Comes Without Keys
    Create Board
    # PER and STRT in NSCR
    Execute Command                 sysbus WriteDoubleWord 0x40022028 0x00010002
    Wait For Line On Uart           violation write of 0x00010002 to NSCR while it is locked
    ${status}=                      Execute Command  sysbus ReadDoubleWord 0x40022020
    Should Be Equal As Numbers      ${status}  0

Board Should Come Back From A Cut In The Middle Of An Erase
    Create Board
    Execute Command                 ${FLASH} CutAt 1 "torn" 7
    Execute Command                 emulation RunFor "0.1"
    Wait For Line On Uart           cut 1 torn
    Execute Command                 ${FLASH} PowerOn
    Wait For Line On Uart           power on
    Execute Command                 emulation RunFor "0.5"
    ${halted}=                      Execute Command  sysbus.cpu IsHalted
    Should Contain                  ${halted}  False
    Firmware Should Have Kept The Rules

Watchdog Should Reset A Core That Stands Still
    Start Board
    Execute Command                 sysbus.cpu IsHalted true
    Start Emulation
    Wait For Line On Uart           reset watchdog  timeout=1

Reset Button Should Restart The Board
    Start Board
    Execute Command                 sysbus.rcc PinReset
    Start Emulation
    Wait For Line On Uart           reset pin  timeout=1
    Firmware Should Have Kept The Rules
