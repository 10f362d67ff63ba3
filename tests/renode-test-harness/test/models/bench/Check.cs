using System;
using System.Collections.Generic;

/// <summary>The smallest test frame that reads well: TAP lines on standard output, as the C tests print them (firmware/tests/check.h).</summary>
public static class Check
{
    /// <summary>One test: its name is the law, the failed checks come as # lines before its result.</summary>
    public static void Test(string sentence, Action body)
    {
        failures.Clear();
        try
        {
            body();
        }
        catch(Exception error)
        {
            failures.Add(error.ToString());
        }
        foreach(var failure in failures)
        {
            Console.WriteLine("# {0}", failure.Replace("\n", "\n# "));
        }
        Console.WriteLine("{0} - {1}", failures.Count == 0 ? "ok" : "not ok", sentence);
        tests++;
        failed += failures.Count == 0 ? 0 : 1;
    }

    public static void That(bool holds, string what)
    {
        if(!holds)
        {
            Note(what);
        }
    }

    public static void Equal<T>(T actual, T expected, string what)
    {
        if(!EqualityComparer<T>.Default.Equals(actual, expected))
        {
            Note(String.Format("{0}: got {1}, expected {2}", what, Show(actual), Show(expected)));
        }
    }

    public static void Throws<T>(Action body, string what) where T : Exception
    {
        try
        {
            body();
        }
        catch(T)
        {
            return;
        }
        Note(what + ": nothing was thrown");
    }

    /// <summary>Prints the plan; the exit code of the program.</summary>
    public static int Done()
    {
        Console.WriteLine("1..{0}", tests);
        return failed == 0 ? 0 : 1;
    }

    private static void Note(string failure)
    {
        failures.Add(failure + " (" + new System.Diagnostics.StackTrace(2, true).GetFrame(0) + ")");
    }

    private static string Show<T>(T value)
    {
        return value is uint ? String.Format("0x{0:x8}", value) : value is ulong ? String.Format("0x{0:x16}", value) : "" + value;
    }

    private static int tests;
    private static int failed;

    private static readonly List<string> failures = new List<string>();
}
