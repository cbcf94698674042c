// SPDX-License-Identifier: Apache-2.0
//! Each system, played by the simulator: what it is asked, what comes of its answers, what if it misbehaves.

#[path = "../common/mod.rs"]
mod common;

mod adding;
mod asterisk;
mod bigbluebutton;
mod dingtalk;
mod documented;
mod faults;
mod freeswitch;
mod golden;
mod huawei;
mod janus;
mod pbx;
