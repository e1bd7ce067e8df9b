//! What a process of this machine used: processor seconds and memory, as the kernel counts them.

use std::fs;

/// Ticks of `/proc/*/stat` in a second, on every Linux of today.
const TICKS: f64 = 100.0;

/// Processor seconds of a process so far, threads that ended included; 0 once it is gone.
pub fn processor_seconds(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / TICKS
}

/// Resident memory of a process (`self` or its number), in MB: now, and the most since it was reset.
pub fn memory_mb(process: &str) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or_default() * 1_024.0 / 1e6
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_and_one_that_is_not_there_nothing() {
        let (resident, most) = memory_mb("self");
        assert!(resident > 1.0 && most >= resident, "{resident} {most}");
        assert!(processor_seconds("self") >= 0.0);
        assert_eq!(memory_mb("0"), (0.0, 0.0));
    }
}
