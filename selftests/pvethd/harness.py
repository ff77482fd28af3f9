# SPDX-License-Identifier: GPL-2.0
"""What the tests of pvethd have in common.

A test is a function; its docstring says what it shows. It gets a Daemon, which
is pvethd with the kernel of fake_kernel.c, in directories of its own.
"""
import array
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

BIN = os.environ['PVETHD_TEST_BIN']

# Programs that pvethd starts
STUBS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bin')

# Nothing here takes a second, but for the sanitizers and a busy machine.
PATIENCE = 30


class Skip(Exception):
    """The test cannot run here, for the reason given."""


def check_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f'{what}: got {got!r}, wanted {wanted!r}')


def check_contains(text, *words):
    for word in words:
        if word not in text:
            raise AssertionError(f'{word!r} is not in {text!r}')


def wait_for(condition, what):
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + PATIENCE
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f'waited in vain: {what}')
        time.sleep(0.01)


def listing(directory):
    """What pvethd keeps in one of its directories, but for the lock of each."""
    return sorted(name for name in os.listdir(directory) if name != 'lock')


class Daemon:
    """pvethd with a fake kernel."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='pvethd-test.')
        self.run_dir = os.path.join(self.dir, 'run')
        self.state_dir = os.path.join(self.dir, 'state')
        self.log_path = os.path.join(self.dir, 'log')
        self.config = os.path.join(self.dir, 'pvethd.conf')
        self.configure('')
        self.path = os.pathsep.join([STUBS, os.environ['PATH']])
        self.process = None

    def args(self):
        return [os.path.join(BIN, 'pvethd-fake'), '--foreground',
                '--run-dir', self.run_dir, '--state-dir', self.state_dir,
                '--config', self.config]

    def configure(self, text):
        """From the next start or reload on"""
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write(text)

    def reload(self):
        said = 'the configuration is loaded again'
        before = self.log().count(said)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count(said) > before, 'the configuration is loaded')

    def start(self, initial=''):
        """Start it; the command is run by the fake kernel before anything."""
        env = dict(os.environ, FAKE_KERNEL=initial,
                   PATH=self.path)
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(self.args(), stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log,
                                            env=env, text=True)
        if initial:
            self.kernel_answer()
        wait_for(lambda: self.process.poll() is not None or self.answers(),
                 'pvethd answers')
        if self.process.returncode is not None:
            raise AssertionError('pvethd ended: ' + self.log())

    def answers(self):
        return self.ctl('list', fails=None).returncode == 0

    def stop(self):
        """SIGTERM; all that was allocated has to be freed by then."""
        if self.process is None:
            return
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.forget_process()
        check_equal(status, 0, 'exit status of pvethd')

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.forget_process()

    def forget_process(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None

    def close(self):
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()
            self.end_dnsmasq()
            shutil.rmtree(self.dir)

    def dnsmasq_file(self, name):
        """The text of one of dnsmasq's files, or '' if there is none."""
        try:
            with open(os.path.join(self.run_dir, 'dnsmasq', name), encoding='utf-8') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def dnsmasq_pids(self):
        """Of its processes: they outlive pvethd."""
        return [int(self.dnsmasq_file(f'{name}.pid') or 0) for name in ('dhcp', 'dns')]

    def end_dnsmasq(self):
        for pid in filter(None, self.dnsmasq_pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda pid=pid: not os.path.exists(f'/proc/{pid}'), 'the end of dnsmasq')

    def log(self):
        with open(self.log_path, encoding='utf-8') as log:
            return log.read()

    def kernel(self, command):
        """What happens to the kernel: see fake_kernel.c."""
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        return self.kernel_answer()

    def kernel_answer(self):
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        check_equal(bool(readable), True, 'answer of the fake kernel')
        return self.process.stdout.readline().strip()

    def ctl(self, *args, fails=False):
        """Run pvethctl. fails: whether it must, or None if it may."""
        done = subprocess.run([os.path.join(BIN, 'pvethctl'), '--run-dir',
                               self.run_dir, *args], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        if fails is not None and (done.returncode != 0) != fails:
            raise AssertionError(f'pvethctl {args}: status {done.returncode}: '
                                 f'{done.stdout}{done.stderr}')
        return done

    def add(self, name, *args):
        return json.loads(self.ctl('add', name, *args, '--json').stdout)

    def list(self):
        return json.loads(self.ctl('list', '--json').stdout)

    def show(self, name):
        return json.loads(self.ctl('show', name, '--json').stdout)

    def fails_with(self, args, *words, status=1):
        done = self.ctl(*args, fails=True)
        check_equal(done.returncode, status, f'exit status of {args}')
        check_contains(done.stderr, *words)
        check_equal(done.stdout, '', f'output of {args}')

    def request(self, data):
        """Raw bytes to the control socket, and the answer."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(os.path.join(self.run_dir, 'control'))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
            answer = b''
            with contextlib.suppress(ConnectionResetError):
                while chunk := sock.recv(65536):
                    answer += chunk
            return answer

    def files(self):
        """Links of all open files, sorted."""
        directory = f'/proc/{self.process.pid}/fd'
        links = []
        for fd in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(os.path.join(directory, fd)))
        return sorted(links)

    def guest_files(self):
        """Number of open files that are shared with guests."""
        return sum('eventfd' in f or 'memfd' in f for f in self.files())


class Qemu:
    """The ivshmem client, as strict as can be."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(port['socket'])
        self.fds = []

    def message(self):
        """One message: its number, and its file or None."""
        space = socket.CMSG_SPACE(8 * array.array('i').itemsize)
        data, control, flags, _ = self.sock.recvmsg(8, space)
        check_equal(flags & socket.MSG_CTRUNC, 0, 'MSG_CTRUNC')
        files = array.array('i')
        for level, kind, content in control:
            check_equal((level, kind), (socket.SOL_SOCKET, socket.SCM_RIGHTS),
                        'control message')
            files.frombytes(content)
        self.fds.extend(files)
        check_equal(len(data), 8, 'bytes of a message')
        check_equal(len(files) <= 1, True, 'at most one file')
        return struct.unpack('<q', data)[0], files[0] if files else None

    def hello(self, vectors):
        """Check a whole hello. Returns window, kicks and calls."""
        check_equal(self.message(), (0, None), 'version')
        own, file = self.message()
        check_equal(file, None, 'file of the own ID')
        number, window = self.message()
        check_equal((number, window is not None), (-1, True), 'window')
        host, kicks, calls = None, [], []
        for vector in range(vectors):
            number, file = self.message()
            host = number if vector == 0 else host
            check_equal(number, host, f'ID of kick {vector}')
            kicks.append(file)
        for vector in range(vectors):
            number, file = self.message()
            check_equal(number, own, f'ID of call {vector}')
            calls.append(file)
        check_equal(host != own and 0 <= host < 65536 and 0 <= own < 65536,
                    True, 'IDs')
        for file in kicks + calls:
            check_equal(os.readlink(f'/proc/self/fd/{file}'),
                        'anon_inode:[eventfd]', 'doorbell')
        self.silent()
        return window, kicks, calls

    def silent(self):
        """There is nothing to read, and the connection is open."""
        readable, _, _ = select.select([self.sock], [], [], 0)
        check_equal(readable, [], 'anything more')

    def close_files(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def close(self):
        self.close_files()
        self.sock.close()


def run(tests):
    """Run tests, print TAP. Returns the exit status."""
    failed = 0
    print('TAP version 13', f'1..{len(tests)}', sep='\n', flush=True)
    for number, test in enumerate(tests, 1):
        title = test.__doc__.split('\n', maxsplit=1)[0]
        daemon = Daemon()
        log = ''
        try:
            try:
                test(daemon)
            finally:
                if os.path.exists(daemon.log_path):
                    log = daemon.log()
                daemon.close()
            print(f'ok {number} {title}', flush=True)
        except Skip as reason:
            print(f'ok {number} {title} # SKIP {reason}', flush=True)
        except Exception:  # whatever it is, it is this test's failure
            failed += 1
            for line in (traceback.format_exc() + log).splitlines():
                print('#', line)
            print(f'not ok {number} {title}', flush=True)
    return 1 if failed else 0


def collect(*modules):
    """The tests of modules, or those that the command line names."""
    tests = [value for module in modules
             for name, value in vars(module).items() if name.startswith('test_')]
    if len(sys.argv) > 1:
        tests = [test for test in tests if test.__name__ in sys.argv[1:]]
    return tests
