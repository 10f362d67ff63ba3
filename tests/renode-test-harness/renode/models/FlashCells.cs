using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;

namespace Antmicro.Renode.Peripherals.MTD
{
    /// <summary>What an operation that did not end leaves behind.</summary>
    public enum TearShape
    {
        /// <summary>The first half done, the second not.</summary>
        Half,
        /// <summary>Each bit done or not.</summary>
        Random,
        /// <summary>As Random, and the bits that are not done read differently each time.</summary>
        Unstable,
        /// <summary>As Random, and units that can't be read.</summary>
        Ecc,
    }

    /// <summary>Whether a unit takes data now.</summary>
    public enum UnitVerdict
    {
        Programmable,
        AlreadyProgrammed,
        Torn,
    }

    /// <summary>
    /// The cells of a NOR flash with ECC: pages are erased to ones, units of 8 bytes are programmed once after that. Knows no registers and no
    /// time. RM0438, "Embedded Flash memory": each double word carries ECC bits of its own, hence once per erase, whatever is written.
    /// </summary>
    public class FlashCells
    {
        public const int PageSize = 2048;
        public const int UnitSize = 8;

        public FlashCells(int size)
        {
            if(size <= 0 || size % PageSize != 0)
            {
                throw new ArgumentException("a flash consists of whole pages");
            }
            bytes = new byte[size];
            states = new byte[size / UnitSize];
            for(var i = 0; i < size; i++)
            {
                bytes[i] = Erased;
            }
        }

        /// <summary>Of tears and of bits that read differently each time.</summary>
        public SeededRandom Random { get; set; } = new SeededRandom(1);

        public int Size
        {
            get { return bytes.Length; }
        }

        /// <summary>Up to 4 bytes as the core reads them: bits that are not settled are drawn anew.</summary>
        public uint Read(int offset, int count)
        {
            var value = Peek(offset, count);
            if(unstable != null)
            {
                for(var i = 0; i < count; i++)
                {
                    var mask = unstable[offset + i];
                    value ^= mask == 0 ? 0 : (uint)(Random.NextByte() & mask) << (8 * i);
                }
            }
            return value;
        }

        /// <summary>False if the unit there has more wrong bits than ECC can mend.</summary>
        public bool CanRead(int offset)
        {
            return (states[offset / UnitSize] & Unreadable) == 0;
        }

        /// <summary>True if the unit there has one wrong bit, which ECC mends at each read.</summary>
        public bool IsMended(int offset)
        {
            return (states[offset / UnitSize] & Mended) != 0;
        }

        /// <summary>What is stored. Not a read: nothing is drawn.</summary>
        public uint Peek(int offset, int count)
        {
            var value = 0u;
            for(var i = 0; i < count; i++)
            {
                value |= (uint)bytes[offset + i] << (8 * i);
            }
            return value;
        }

        /// <summary>Puts a byte there as a programmer with a clip would: no rule applies, the unit is sound afterwards.</summary>
        public void Poke(int offset, byte value)
        {
            bytes[offset] = value;
            if(unstable != null)
            {
                unstable[offset] = 0;
            }
            Settle(offset / UnitSize);
        }

        /// <summary>
        /// RM0438, PROGERR: only an erased double word can be programmed, unless the data is all zero. A torn one is taken while it happens to
        /// read blank: the silicon's own check sees no more than that.
        /// </summary>
        public UnitVerdict Verdict(int offset, ulong data)
        {
            var state = states[offset / UnitSize];
            if(state == 0)
            {
                return UnitVerdict.Programmable;
            }
            if((state & Torn) != 0)
            {
                return (state & Unreadable) == 0 && ReadsBlank(offset) ? UnitVerdict.Programmable : UnitVerdict.Torn;
            }
            return data == 0 ? UnitVerdict.Programmable : UnitVerdict.AlreadyProgrammed;
        }

        public void Erase(int page)
        {
            var first = page * PageSize;
            for(var i = first; i < first + PageSize; i++)
            {
                bytes[i] = Erased;
                if(unstable != null)
                {
                    unstable[i] = 0;
                }
            }
            Array.Clear(states, first / UnitSize, PageSize / UnitSize);
        }

        public void Program(int offset, ulong data)
        {
            for(var i = 0; i < UnitSize; i++)
            {
                var wanted = (byte)(data >> (8 * i));
                bytes[offset + i] &= wanted;
                if(unstable != null)
                {
                    // a bit programmed to 0 is firm again; one left at 1 keeps what an earlier tear made of it
                    unstable[offset + i] &= wanted;
                }
            }
            states[offset / UnitSize] = (byte)((states[offset / UnitSize] & ~Torn) | Programmed);
        }

        public void TearErase(int page, TearShape shape)
        {
            var first = page * PageSize;
            var end = first + (shape == TearShape.Half ? PageSize / 2 : PageSize);
            for(var i = first; i < end; i++)
            {
                var before = bytes[i];
                bytes[i] = shape == TearShape.Half ? Erased : (byte)(before | Random.NextByte());
                if(shape == TearShape.Unstable)
                {
                    SetUnstable(i, (byte)(~before & Random.NextByte()));
                }
            }
            for(var unit = first / UnitSize; unit < (first + PageSize) / UnitSize; unit++)
            {
                if(shape == TearShape.Half && unit * UnitSize < end)
                {
                    states[unit] = 0;
                }
                states[unit] |= Torn;
                if(shape == TearShape.Ecc && Random.Below(2) == 1)
                {
                    states[unit] |= Unreadable;
                }
            }
        }

        public void TearProgram(int offset, ulong data, TearShape shape)
        {
            for(var i = 0; i < UnitSize; i++)
            {
                var wanted = (byte)(data >> (8 * i));
                var before = bytes[offset + i];
                var kept = shape == TearShape.Half ? (byte)(i < UnitSize / 2 ? 0 : 0xFF) : Random.NextByte();
                bytes[offset + i] = (byte)(before & (wanted | kept));
                if(shape == TearShape.Unstable)
                {
                    SetUnstable(offset + i, (byte)(before & ~wanted & kept));
                }
            }
            states[offset / UnitSize] |= Programmed | Torn;
            if(shape == TearShape.Ecc)
            {
                states[offset / UnitSize] |= Unreadable;
            }
        }

        /// <summary>Makes the unit there unreadable until its page is erased.</summary>
        public void MakeUnreadable(int offset)
        {
            states[offset / UnitSize] |= Unreadable;
        }

        /// <summary>Gives the unit there one wrong bit, which ECC mends, until its page is erased.</summary>
        public void MakeMended(int offset)
        {
            states[offset / UnitSize] |= Mended;
        }

        /// <summary>Inverts bits behind the back of ECC: rot.</summary>
        public void Flip(int offset, byte mask)
        {
            bytes[offset] ^= mask;
            states[offset / UnitSize] |= Programmed;
        }

        /// <summary>
        /// Takes over an image. A unit counts as programmed exactly if it isn't all ones, and as sound, unless <paramref name="notes"/> (see
        /// <see cref="Notes"/>) say otherwise.
        /// </summary>
        public void Load(byte[] image, IEnumerable<string> notes)
        {
            if(image.Length != bytes.Length)
            {
                throw new ArgumentException(String.Format("an image of {0} bytes, not {1}", bytes.Length, image.Length));
            }
            Array.Copy(image, bytes, bytes.Length);
            unstable = null;
            for(var unit = 0; unit < states.Length; unit++)
            {
                Settle(unit);
            }
            foreach(var note in notes)
            {
                if(note.Trim().Length > 0)
                {
                    TakeNote(note);
                }
            }
        }

        public byte[] Image()
        {
            return (byte[])bytes.Clone();
        }

        /// <summary>
        /// What the bytes alone don't tell, a line a unit: its offset in hex, then words out of <c>blank</c> (not programmed, though not all
        /// ones), <c>programmed</c> (though all ones), <c>torn</c>, <c>unreadable</c>, <c>mended</c>, and <c>unstable=</c> with a mask of 8
        /// bytes in the order of their addresses.
        /// </summary>
        public IEnumerable<string> Notes()
        {
            for(var unit = 0; unit < states.Length; unit++)
            {
                var note = NoteOf(unit);
                if(note != null)
                {
                    yield return note;
                }
            }
        }

        private string NoteOf(int unit)
        {
            var state = states[unit];
            var words = new StringBuilder();
            if((state & Programmed) != (IsBlank(unit) ? 0 : Programmed))
            {
                words.Append((state & Programmed) != 0 ? " programmed" : " blank");
            }
            words.Append((state & Torn) != 0 ? " torn" : "");
            words.Append((state & Unreadable) != 0 ? " unreadable" : "");
            words.Append((state & Mended) != 0 ? " mended" : "");
            words.Append(UnstableWord(unit));
            return words.Length == 0 ? null : (unit * UnitSize).ToString("x5") + words;
        }

        private string UnstableWord(int unit)
        {
            if(unstable == null)
            {
                return "";
            }
            var any = 0;
            var digits = new StringBuilder(" unstable=");
            for(var i = unit * UnitSize; i < (unit + 1) * UnitSize; i++)
            {
                any |= unstable[i];
                digits.Append(unstable[i].ToString("x2"));
            }
            return any == 0 ? "" : digits.ToString();
        }

        private void TakeNote(string note)
        {
            var words = note.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
            int offset;
            if(!Int32.TryParse(words[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out offset) || offset < 0
                || offset >= bytes.Length || offset % UnitSize != 0)
            {
                throw new InvalidDataException("no unit begins at " + words[0]);
            }
            for(var i = 1; i < words.Length; i++)
            {
                TakeWord(offset, words[i]);
            }
        }

        private void TakeWord(int offset, string word)
        {
            switch(word)
            {
            case "blank":
                states[offset / UnitSize] &= unchecked((byte)~Programmed);
                return;
            case "programmed":
                states[offset / UnitSize] |= Programmed;
                return;
            case "torn":
                states[offset / UnitSize] |= Torn;
                return;
            case "unreadable":
                states[offset / UnitSize] |= Unreadable;
                return;
            case "mended":
                states[offset / UnitSize] |= Mended;
                return;
            }
            if(!word.StartsWith("unstable=", StringComparison.Ordinal) || word.Length != 9 + 2 * UnitSize)
            {
                throw new InvalidDataException("unknown state of a unit: " + word);
            }
            for(var i = 0; i < UnitSize; i++)
            {
                SetUnstable(offset + i, Byte.Parse(word.Substring(9 + 2 * i, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            }
        }

        private void Settle(int unit)
        {
            states[unit] = IsBlank(unit) ? (byte)0 : Programmed;
        }

        private bool IsBlank(int unit)
        {
            for(var i = unit * UnitSize; i < (unit + 1) * UnitSize; i++)
            {
                if(bytes[i] != Erased)
                {
                    return false;
                }
            }
            return true;
        }

        private bool ReadsBlank(int offset)
        {
            return (Read(offset, 4) & Read(offset + 4, 4)) == UInt32.MaxValue;
        }

        private void SetUnstable(int offset, byte mask)
        {
            unstable = unstable ?? new byte[bytes.Length];
            unstable[offset] = mask;
        }

        private byte[] unstable;

        private readonly byte[] bytes;
        private readonly byte[] states;

        private const byte Erased = 0xFF;

        // of a unit
        private const byte Programmed = 1;
        private const byte Torn = 2;
        private const byte Unreadable = 4;
        private const byte Mended = 8;
    }
}
