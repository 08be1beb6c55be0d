//! What stands above the figures of a bench: the machine that they are of, and the command that makes them again.

/// What the bench was told. Cargo adds `--bench` to it.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|word| word != "--bench").collect()
}

/// Prints the machine, and the command: `command`, followed by what the bench was told.
pub(crate) fn print(command: &str, arguments: &[String]) {
    println!("{}", machine());
    let command = format!("{command} -- {}", arguments.join(" "));
    println!("command: {}", command.trim_end_matches(" -- "));
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("machine: {cores} × {model}, Linux {}, load {load}", kernel.trim())
}
