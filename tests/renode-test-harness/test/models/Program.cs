public static class Program
{
    public static int Main()
    {
        FlashTests.Run();
        ClockTests.Run();
        WatchdogTests.Run();
        ChannelTests.Run();
        LineTests.Run();
        return Check.Done();
    }
}
