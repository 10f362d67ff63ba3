namespace Antmicro.Renode.Peripherals.MTD
{
    /// <summary>
    /// A small seeded generator (mulberry32), the one that the project's other flash model uses: every run can be repeated by its seed.
    /// </summary>
    public class SeededRandom
    {
        public SeededRandom(uint seed)
        {
            state = seed;
        }

        public uint Next()
        {
            unchecked
            {
                state += 0x6D2B79F5;
                var mixed = (state ^ (state >> 15)) * (state | 1);
                mixed ^= mixed + (mixed ^ (mixed >> 7)) * (mixed | 61);
                return mixed ^ (mixed >> 14);
            }
        }

        /// <summary>An integer from 0 to <paramref name="limit"/> - 1.</summary>
        public int Below(int limit)
        {
            return (int)(((ulong)Next() * (ulong)limit) >> 32);
        }

        public byte NextByte()
        {
            return (byte)(Next() >> 24);
        }

        private uint state;
    }
}
