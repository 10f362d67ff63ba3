using System;

using Antmicro.Migrant;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.UART
{
    /// <summary>
    /// The stimulus ports of the instrumentation trace macrocell (Armv8-M, DDI 0553, "Instrumentation Trace Macrocell") with a probe attached
    /// that has enabled port 0 and never falls behind. What the firmware writes to port 0 comes out byte by byte, lowest first, as from a UART.
    /// </summary>
    public class ITM_Trace : IBytePeripheral, IWordPeripheral, IDoubleWordPeripheral, IKnownSize, IUART
    {
        public void Reset()
        {
            // a probe's settings outlive a reset of the core
        }

        /// <summary>False: as on a board without a probe.</summary>
        public bool Attached { get; set; } = true;

        public uint ReadDoubleWord(long offset)
        {
            if(!Attached)
            {
                return 0;
            }
            switch(offset)
            {
            case TraceEnable:
                return 1;
            case TraceControl:
                return ItmEnable;
            default:
                return offset < StimulusEnd ? FifoReady : 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            Put(offset, value, 4);
        }

        public ushort ReadWord(long offset)
        {
            return (ushort)ReadDoubleWord(offset);
        }

        public void WriteWord(long offset, ushort value)
        {
            Put(offset, value, 2);
        }

        public byte ReadByte(long offset)
        {
            return (byte)ReadDoubleWord(offset);
        }

        public void WriteByte(long offset, byte value)
        {
            Put(offset, value, 1);
        }

        /// <summary>SWO has no way back.</summary>
        public void WriteChar(byte value)
        {
        }

        public long Size
        {
            get { return 0x1000; }
        }

        public uint BaudRate
        {
            get { return 2000000; }
        }

        public Bits StopBits
        {
            get { return Bits.One; }
        }

        public Parity ParityBit
        {
            get { return Parity.None; }
        }

        [field: Transient]
        public event Action<byte> CharReceived;

        private void Put(long offset, uint value, int count)
        {
            var listener = CharReceived;
            if(offset != 0 || !Attached || listener == null)
            {
                return;
            }
            for(var i = 0; i < count; i++)
            {
                listener((byte)(value >> (8 * i)));
            }
        }

        private const long StimulusEnd = 0x80;
        private const long TraceEnable = 0xE00;
        private const long TraceControl = 0xE80;
        private const uint ItmEnable = 1;
        private const uint FifoReady = 1;
    }
}
