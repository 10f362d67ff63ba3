using System;

using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.Memory;
using Antmicro.Renode.Peripherals.MTD;
using Antmicro.Renode.Peripherals.UART;

namespace Antmicro.Renode.Peripherals.Miscellaneous
{
    /// <summary>
    /// RM0438, "Reset and clock control (RCC)": clocks are ready as soon as they are switched on, RCC_CSR tells why the board started, and the
    /// board's power is switched here. Registers that nothing depends on keep what is written.
    /// </summary>
    public class STM32L5_RCC : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_RCC(IMachine machine, ICPU cpu, MappedMemory sram, BoardEvents events)
        {
            this.machine = machine;
            this.cpu = cpu;
            this.sram = sram;
            this.events = events;
            SetResetValues();
            Cause = PowerOnFlags;
        }

        /// <summary>Any reset of the machine comes by here. One that nobody announced is the core's own request (SYSRESETREQ).</summary>
        public void Reset()
        {
            if(!Powered)
            {
                return;
            }
            SetResetValues();
            Cause |= announced ?? SoftwareFlag | PinFlag;
            if(announced == null)
            {
                events.Emit("reset software");
            }
            announced = null;
        }

        public uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case ClockControl:
                return WithReadyBits(registers[ClockControl / 4]);
            case Configuration:
                return (registers[Configuration / 4] & ~SystemClockStatus) | ((registers[Configuration / 4] & SystemClockSwitch) << 2);
            case BackupDomain:
                return Follow(registers[BackupDomain / 4], LseOn, LseReady);
            case ControlStatus:
                return Follow(registers[ControlStatus / 4], LsiOn, LsiReady) | Cause;
            case ClockRecovery:
                return Follow(registers[ClockRecovery / 4], Hsi48On, Hsi48Ready);
            default:
                return offset < Size ? registers[offset / 4] : 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset >= Size)
            {
                return;
            }
            if(offset == ControlStatus)
            {
                if((value & RemoveFlags) != 0)
                {
                    Cause = 0;
                }
                value &= ~(RemoveFlags | CauseFlags);
            }
            registers[offset / 4] = value;
        }

        /// <summary>Announces why the machine is about to be reset, and resets it. Nothing happens on a board without power.</summary>
        public void RequestReset(string name, uint flag)
        {
            if(!Powered)
            {
                return;
            }
            announced = flag | PinFlag;
            events.Emit("reset " + name);
            machine.RequestReset();
        }

        /// <summary>The reset button.</summary>
        public void PinReset()
        {
            RequestReset("pin", PinFlag);
        }

        /// <summary>The core stops where it is, and nothing on the board does anything until <see cref="PowerOn"/>.</summary>
        public void PowerOff()
        {
            if(!Powered)
            {
                return;
            }
            Powered = false;
            announced = null;
            cpu.IsHalted = true;
        }

        /// <summary>Starts the board as from cold: what SRAM held is gone. Cuts the power first if it is on.</summary>
        public void PowerOn()
        {
            PowerOff();
            Powered = true;
            Cause = 0;
            announced = PowerOnFlags;
            ScrambleMemory();
            events.Emit("power on");
            machine.Reset();
            cpu.IsHalted = false;
        }

        public bool Powered { get; private set; } = true;

        /// <summary>True: the PLL never becomes ready.</summary>
        public bool PllFails { get; set; }

        /// <summary>What SRAM holds after power-on follows from this.</summary>
        public uint Seed { get; set; } = 1;

        public long Size
        {
            get { return 0x400; }
        }

        /// <summary>RCC_CSR's flags since they were last removed.</summary>
        public uint Cause { get; private set; }

        public const uint WatchdogFlag = 1u << 29;

        private void SetResetValues()
        {
            Array.Clear(registers, 0, registers.Length);
            registers[ClockControl / 4] = 0x00000063;
            registers[PllConfiguration / 4] = 0x00001000;
            registers[ControlStatus / 4] = 0x00000600;
        }

        private uint WithReadyBits(uint control)
        {
            control = Follow(control, MsiOn, MsiReady);
            control = Follow(control, HsiOn, HsiReady);
            control = Follow(control, HseOn, HseReady);
            return PllFails ? control & ~PllReady : Follow(control, PllOn, PllReady);
        }

        private static uint Follow(uint value, uint on, uint ready)
        {
            return (value & on) != 0 ? value | ready : value & ~ready;
        }

        private void ScrambleMemory()
        {
            var random = new SeededRandom(Seed++);
            var garbage = new byte[sram.Size];
            for(var i = 0; i < garbage.Length; i++)
            {
                garbage[i] = random.NextByte();
            }
            sram.WriteBytes(0, garbage);
        }

        private uint? announced;

        private readonly IMachine machine;
        private readonly ICPU cpu;
        private readonly MappedMemory sram;
        private readonly BoardEvents events;
        private readonly uint[] registers = new uint[0x400 / 4];

        private const long ClockControl = 0x00;
        private const long Configuration = 0x08;
        private const long PllConfiguration = 0x0C;
        private const long BackupDomain = 0x90;
        private const long ControlStatus = 0x94;
        private const long ClockRecovery = 0x98;

        private const uint MsiOn = 1u << 0;
        private const uint MsiReady = 1u << 1;
        private const uint HsiOn = 1u << 8;
        private const uint HsiReady = 1u << 10;
        private const uint HseOn = 1u << 16;
        private const uint HseReady = 1u << 17;
        private const uint PllOn = 1u << 24;
        private const uint PllReady = 1u << 25;
        private const uint LseOn = 1u << 0;
        private const uint LseReady = 1u << 1;
        private const uint LsiOn = 1u << 0;
        private const uint LsiReady = 1u << 1;
        private const uint Hsi48On = 1u << 0;
        private const uint Hsi48Ready = 1u << 1;
        private const uint SystemClockSwitch = 3u;
        private const uint SystemClockStatus = 3u << 2;
        private const uint RemoveFlags = 1u << 23;
        private const uint CauseFlags = 0xFF000000;
        private const uint PinFlag = 1u << 26;
        private const uint BrownOutFlag = 1u << 27;
        private const uint SoftwareFlag = 1u << 28;
        private const uint PowerOnFlags = BrownOutFlag | PinFlag;
    }
}
