using System;

using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Miscellaneous
{
    /// <summary>
    /// RM0438, "Power control (PWR)": keeps what is written, and each voltage range is reached at once (PWR_SR2 VOSF reads 0).
    /// </summary>
    public class STM32L5_PWR : IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_PWR()
        {
            Reset();
        }

        public void Reset()
        {
            Array.Clear(registers, 0, registers.Length);
            registers[Control1 / 4] = Range2;
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset == Status1 || offset == Status2 || offset >= Size ? 0 : registers[offset / 4];
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset < Size)
            {
                registers[offset / 4] = value;
            }
        }

        public long Size
        {
            get { return 0x400; }
        }

        private readonly uint[] registers = new uint[0x400 / 4];

        private const long Control1 = 0x00;
        private const long Status1 = 0x10;
        private const long Status2 = 0x14;
        private const uint Range2 = 2u << 9;
    }
}
