"""A kernel that prints without end is no longer listened to."""

MAX_MESSAGES = 20_000
MAX_TEXT = 4_000_000


class CutOff(RuntimeError):
    """A kernel that is no longer listened to; the message begins with one of our own words."""


def cut_off_floods() -> None:
    """Let nbval, in this process, count a kernel's messages and their text."""
    from nbval.kernel import RunningKernel

    original = RunningKernel.get_message

    def get_message(self, stream, timeout=None):
        message = original(self, stream, timeout)
        self.messages += 1
        self.text += len(str(message["content"]))
        if self.messages > MAX_MESSAGES or self.text > MAX_TEXT:
            self.cut_off("Flood: the kernel printed too much")
        return message

    def cut_off(self, reason):
        self.km.shutdown_kernel(now=True)
        raise CutOff(reason)

    RunningKernel.messages = RunningKernel.text = 0
    RunningKernel.get_message, RunningKernel.cut_off = get_message, cut_off
