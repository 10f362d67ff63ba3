using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.MTD
{
    /// <summary>
    /// A part of flash bank 1 as the core sees it: each access goes to the controller, which knows whether it may be. Code can't run from here:
    /// what has to is plain mapped memory.
    /// </summary>
    public class STM32L5_FlashArea : IBytePeripheral, IWordPeripheral, IDoubleWordPeripheral, IKnownSize
    {
        public STM32L5_FlashArea(STM32L5_FlashController controller, int offset, int size)
        {
            this.controller = controller;
            this.offset = offset;
            this.size = size;
        }

        public void Reset()
        {
            // the cells are the controller's
        }

        public byte ReadByte(long at)
        {
            return (byte)controller.ReadCells(offset + (int)at, 1);
        }

        public void WriteByte(long at, byte value)
        {
            controller.WriteCells(offset + (int)at, 1, value);
        }

        public ushort ReadWord(long at)
        {
            return (ushort)controller.ReadCells(offset + (int)at, 2);
        }

        public void WriteWord(long at, ushort value)
        {
            controller.WriteCells(offset + (int)at, 2, value);
        }

        public uint ReadDoubleWord(long at)
        {
            return controller.ReadCells(offset + (int)at, 4);
        }

        public void WriteDoubleWord(long at, uint value)
        {
            controller.WriteCells(offset + (int)at, 4, value);
        }

        public long Size
        {
            get { return size; }
        }

        private readonly STM32L5_FlashController controller;
        private readonly int offset;
        private readonly int size;
    }
}
