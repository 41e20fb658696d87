/*
 * intake.h - the handler of the intake listener (flow_intake in flow.h) and its own state.
 */
#pragma once

struct flow;

/** Drop the keyed HMACs; those of bodies under way go with them. They are made anew as needed. */
void intake_forget_keys(struct flow *f);
