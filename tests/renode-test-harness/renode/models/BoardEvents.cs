using System;

using Antmicro.Migrant;

namespace Antmicro.Renode.Peripherals.UART
{
    /// <summary>
    /// Tells an observer outside what happens to the board, a line of text each: <c>reset watchdog</c>, <c>cut 17 torn</c>, <c>violation …</c>.
    /// Connect a socket to it as to any UART. The board itself can't see it.
    /// </summary>
    public class BoardEvents : IPeripheral, IUART
    {
        public void Reset()
        {
            // what was told is told
        }

        public void Emit(string line)
        {
            var listener = CharReceived;
            if(listener == null)
            {
                return;
            }
            foreach(var character in line)
            {
                listener((byte)character);
            }
            listener((byte)'\n');
        }

        /// <summary>Nobody reads what is sent here.</summary>
        public void WriteChar(byte value)
        {
        }

        public uint BaudRate
        {
            get { return 115200; }
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
    }
}
