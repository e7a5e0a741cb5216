/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c: a program that only has to link: with one floor whole, and the lower ones. */

int
main(void)
{
    return 0;
}
