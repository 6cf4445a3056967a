//! What the head of a program tells: for which processor it is, and whether it
//! needs libraries. Pure.
//!
//! Source: the ELF-64 object file format, sections 3 and 8.

/// What is read of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Kind of processor as the kernel calls it; `None` for one we do not know.
    pub(super) machine: Option<&'static str>,
    /// Whether it runs without a loader and libraries.
    pub(super) is_static: bool,
}

const MAGIC: [u8; 4] = *b"\x7fELF";

/// Of the fifth and sixth byte: 64 bits, the lower byte first.
const CLASS_64_LITTLE: [u8; 2] = [2, 1];

/// The kind of program header that names the loader.
const INTERPRETER: u32 = 3;

impl Program {
    /// Reads the head of a program; `None` if it is none that we can read.
    pub(super) fn read(file: &[u8]) -> Option<Self> {
        if file.get(..4)? != MAGIC || file.get(4..6)? != CLASS_64_LITTLE {
            return None;
        }
        let table = usize::try_from(u64::from_le_bytes(bytes(file, 32)?)).ok()?;
        let size = usize::from(u16::from_le_bytes(bytes(file, 54)?));
        let count = usize::from(u16::from_le_bytes(bytes(file, 56)?));
        let mut is_static = true;
        for number in 0..count {
            let at = table.checked_add(number.checked_mul(size)?)?;
            is_static &= u32::from_le_bytes(bytes(file, at)?) != INTERPRETER;
        }
        let machine = machine(u16::from_le_bytes(bytes(file, 18)?));
        Some(Self { machine, is_static })
    }
}

/// One name for each kind of processor that Docker and the kernel call by
/// several.
pub(super) fn usual_name(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

fn machine(number: u16) -> Option<&'static str> {
    match number {
        62 => Some("x86_64"),
        183 => Some("aarch64"),
        243 => Some("riscv64"),
        21 => Some("ppc64le"),
        _ => None,
    }
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The head of a program with one program header of this kind.
    pub(crate) fn program(machine: u16, header: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..4].copy_from_slice(&MAGIC);
        file[4..6].copy_from_slice(&CLASS_64_LITTLE);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&1u16.to_le_bytes());
        file[64..68].copy_from_slice(&header.to_le_bytes());
        file
    }

    #[test]
    fn a_program_tells_its_processor_and_whether_it_needs_libraries() {
        let read = |machine, header| Program::read(&program(machine, header)).unwrap();
        let aarch64 = Some("aarch64");
        assert_eq!(read(183, 1), Program { machine: aarch64, is_static: true });
        assert_eq!(read(183, 3), Program { machine: aarch64, is_static: false });
        assert_eq!(read(4711, 1).machine, None);
    }

    #[test]
    fn this_program_is_one_for_this_processor() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let found = Program::read(&file).unwrap();
        assert_eq!(found.machine, Some(std::env::consts::ARCH));
    }

    #[test]
    fn what_is_no_program_or_cut_off_is_not_read() {
        assert_eq!(Program::read(b"#!/bin/sh\n"), None);
        let whole = program(62, 1);
        for end in 0..68 {
            assert_eq!(Program::read(&whole[..end]), None, "{end}");
        }
    }
}
