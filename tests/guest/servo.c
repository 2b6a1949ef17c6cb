/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that controls: 1000 times a second it reads a sensor, computes a PI controller in
 * integers, and writes an actuator. The motor in between is simulated. Once a second it prints how
 * many cycles it made, how late the latest began, and how many overran.
 *
 * A cycle is released by the TSC deadline of the local APIC at a multiple of the period since the
 * start, and has to be over when the next one is released; if not, that is an overrun, and the
 * releases that have passed meanwhile are left out. All control is in the interrupt's handler, so
 * that printing, which may wait for the console, never delays it.
 */
#include "tests/guest/lib.h"

#define CYCLE_HZ     1000u
#define VECTOR_CYCLE VECTOR_APIC

/* Speeds in 1/256 rpm, the actuator's output in 1/1000 of full. */
#define SPEED_ONE    256
#define TARGET_LOW   (1000 * SPEED_ONE)
#define TARGET_HIGH  (2000 * SPEED_ONE)
#define STEP_CYCLES  2000u /* between changes of the target */
#define OUTPUT_MAX   1000

/* The motor: 3 rpm for each 1/1000, a time constant of 50 cycles. */
#define MOTOR_GAIN   (3 * SPEED_ONE)
#define MOTOR_LAG    50

/* The controller: output = P + I; P = error / P_DIVISOR, each cycle I += error / I_DIVISOR. */
#define P_DIVISOR    (SPEED_ONE * 2)
#define I_DIVISOR    (SPEED_ONE * 64)
#define INTEGRAL_MAX (OUTPUT_MAX * I_DIVISOR)

/* What is reported and then forgotten. */
struct record {
    uint32_t cycles, overruns;
    uint64_t late_max; /* TSC ticks */
};

static struct {
    uint64_t period;   /* TSC ticks */
    uint64_t release;  /* TSC at which the next cycle is to begin */
    uint64_t releases; /* periods since the start */
    int32_t speed;     /* of the motor, as it is */
    int32_t measured, target;
    int32_t integral, output;
    uint32_t noise; /* state of the sensor's noise, never 0 */
    struct record record;
} servo;

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The sensor: whole quarters of an rpm, with noise of one either way (a 32-bit xorshift). */
static int32_t sensor_read(void)
{
    const int32_t quarter = SPEED_ONE / 4;

    servo.noise ^= servo.noise << 13;
    servo.noise ^= servo.noise >> 17;
    servo.noise ^= servo.noise << 5;
    return (servo.speed / quarter + (int32_t)(servo.noise % 3) - 1) * quarter;
}

static void actuator_write(int32_t output)
{
    servo.speed += (output * MOTOR_GAIN - servo.speed) / MOTOR_LAG;
}

/* One step of the controller. The integral stops where more of it has no effect (anti-windup). */
static void control(void)
{
    bool high = servo.releases / STEP_CYCLES % 2 != 0;

    servo.target = high ? TARGET_HIGH : TARGET_LOW;
    servo.measured = sensor_read();

    int32_t error = servo.target - servo.measured;

    servo.integral = clamp(servo.integral + error, 0, INTEGRAL_MAX);
    servo.output = clamp(error / P_DIVISOR + servo.integral / I_DIVISOR, 0, OUTPUT_MAX);
    actuator_write(servo.output);
}

/* Arm the next release, leaving out those that have passed. */
static void next_release(void)
{
    struct record *r = &servo.record;

    servo.release += servo.period;
    servo.releases++;
    if (rdtsc() > servo.release)
        r->overruns++;
    while (rdtsc() > servo.release) {
        servo.release += servo.period;
        servo.releases++;
    }
    wrmsr(MSR_TSC_DEADLINE, servo.release);
}

bool irq_hook(unsigned vector)
{
    struct record *r = &servo.record;

    if (vector != VECTOR_CYCLE)
        return false;

    uint64_t late = rdtsc() - servo.release;

    if (late > r->late_max)
        r->late_max = late;
    control();
    r->cycles++;
    next_release();
    return false;
}

/* The CPU's word on its TSC, or else what the PIT says. */
static uint64_t tsc_hz_choose(void)
{
    uint64_t hz = tsc_hz_cpuid();

    return hz != 0 ? hz : tsc_hz_pit();
}

static void servo_start(uint64_t tsc_hz)
{
    servo.noise = 1;
    servo.period = tsc_hz / CYCLE_HZ;
    pic_setup(0xff, 0xff);
    pit_stop(); /* nobody listens to it, and its ticks exit */
    lapic_enable();
    lapic_write(LAPIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_CYCLE);
    __asm__ volatile("mfence" : : : "memory"); /* the LVT's mode before the MSR: SDM 3A */
    servo.release = rdtsc() + servo.period;
    wrmsr(MSR_TSC_DEADLINE, servo.release);
}

/* Sleep until a second has been released since the last record, and take that. */
static struct record record_take(uint64_t until)
{
    struct record r;

    irq_disable();
    while (servo.releases < until)
        irq_halt();
    r = servo.record;
    servo.record = (struct record){0};
    irq_enable();
    return r;
}

void guest_main(void)
{
    uint64_t tsc_hz;

    con_setup();
    tsc_hz = tsc_hz_choose();
    if (tsc_hz < CYCLE_HZ || (cpuid(1, 0).ecx & BIT32(24)) == 0) {
        con_printf("servo: needs a TSC of known frequency and its deadline timer\n");
        power_off();
    }
    con_printf("servo: %u cycles a second, each has %lu TSC ticks\n", CYCLE_HZ, tsc_hz / CYCLE_HZ);
    servo_start(tsc_hz);
    for (uint64_t second = 1;; second = servo.releases / CYCLE_HZ + 1) {
        struct record r = record_take(second * CYCLE_HZ);

        con_printf("second %lu: %u cycles, latest %lu us late, %u overruns; speed %d of %d rpm\n",
                   second, r.cycles, r.late_max * 1000000 / tsc_hz, r.overruns,
                   servo.measured / SPEED_ONE, servo.target / SPEED_ONE);
    }
}
