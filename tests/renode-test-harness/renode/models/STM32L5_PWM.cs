using System;
using System.Globalization;

using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Timers
{
    /// <summary>
    /// RM0438, "General-purpose timers (TIM2/TIM3/TIM4/TIM5)", as far as PWM output goes: preloaded compare values are taken over together by an
    /// update event, unless UDIS holds it back. Nothing counts here: with updates allowed a new value holds as soon as it is written, less than
    /// one period earlier than on silicon.
    /// </summary>
    public class STM32L5_PWM : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_PWM()
        {
            Reset();
        }

        public void Reset()
        {
            Array.Clear(registers, 0, registers.Length);
            Array.Clear(compare, 0, compare.Length);
            registers[AutoReload / 4] = 0xFFFF;
            autoReload = 0xFFFF;
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset < Size ? registers[offset / 4] : 0;
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset >= Size)
            {
                return;
            }
            if(offset == EventGeneration)
            {
                if((value & UpdateGeneration) != 0 && !UpdateDisabled)
                {
                    TakeOver();
                }
                return;
            }
            registers[offset / 4] = value;
            if(!UpdateDisabled && Counting)
            {
                TakeOver();
            }
            TakeOverUnbuffered();
        }

        /// <summary>What channel 1 to 4 puts out, in percent; 0 if it is off.</summary>
        public double Duty(int channel)
        {
            if(channel < 1 || channel > Channels)
            {
                throw new RecoverableException("channels are 1 to 4");
            }
            var index = channel - 1;
            if(!Counting || !Enabled(index) || Mode(index) != PwmMode1)
            {
                return 0;
            }
            return Math.Min(100.0, compare[index] * 100.0 / (autoReload + 1.0));
        }

        /// <summary>All four in one line.</summary>
        public string Duties
        {
            get
            {
                var texts = new string[Channels];
                for(var i = 0; i < Channels; i++)
                {
                    texts[i] = Duty(i + 1).ToString("0.####", CultureInfo.InvariantCulture);
                }
                return String.Join(" ", texts);
            }
        }

        public long Size
        {
            get { return 0x400; }
        }

        private void TakeOver()
        {
            autoReload = registers[AutoReload / 4] & 0xFFFF;
            for(var i = 0; i < Channels; i++)
            {
                compare[i] = Preload(i);
            }
        }

        private void TakeOverUnbuffered()
        {
            if((registers[Control / 4] & AutoReloadPreload) == 0)
            {
                autoReload = registers[AutoReload / 4] & 0xFFFF;
            }
            for(var i = 0; i < Channels; i++)
            {
                if((ModeField(i) & ComparePreload) == 0)
                {
                    compare[i] = Preload(i);
                }
            }
        }

        private bool Counting
        {
            get { return (registers[Control / 4] & CounterEnable) != 0; }
        }

        private bool UpdateDisabled
        {
            get { return (registers[Control / 4] & UpdateDisable) != 0; }
        }

        private uint Preload(int index)
        {
            return registers[FirstCompare / 4 + index] & 0xFFFF;
        }

        private bool Enabled(int index)
        {
            return (registers[CompareEnable / 4] >> (4 * index) & 1) != 0;
        }

        private uint ModeField(int index)
        {
            return registers[FirstMode / 4 + index / 2] >> (8 * (index % 2));
        }

        private uint Mode(int index)
        {
            return (ModeField(index) >> 4) & 7;
        }

        private uint autoReload;

        private readonly uint[] compare = new uint[Channels];
        private readonly uint[] registers = new uint[0x400 / 4];

        private const int Channels = 4;

        private const long Control = 0x00;
        private const long EventGeneration = 0x14;
        private const long FirstMode = 0x18;
        private const long CompareEnable = 0x20;
        private const long AutoReload = 0x2C;
        private const long FirstCompare = 0x34;

        private const uint CounterEnable = 1u << 0;
        private const uint UpdateDisable = 1u << 1;
        private const uint AutoReloadPreload = 1u << 7;
        private const uint UpdateGeneration = 1u << 0;
        private const uint ComparePreload = 1u << 3;
        private const uint PwmMode1 = 6;
    }
}
